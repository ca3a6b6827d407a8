"""Make recorded_logits.parquet: what the full PyTorch checkpoint of the shipped bundle says of the sample.

    python tests/data/record_logits.py CHECKPOINT

The checkpoint is too large to commit; its logits are not, and let the shipped bundle be compared with it anywhere.
One row for each paper of papers.parquet and modern_papers.parquet, in their order: id, tokens (how many the model saw),
logits (float32, in the order of the labels), all computed in fp32, one unpadded paper at a time. The file's metadata
name the checkpoint by its digest.
"""

import argparse
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from export.compare import pytorch_logits, tokenize
from export.papers import read_papers
from ro32.evaluation.checkpoint import Checkpoint
from ro32.evaluation.weights import load_model
from ro32.model.processor import available_cores

HERE = Path(__file__).parent
SAMPLES = ("papers.parquet", "modern_papers.parquet")
TARGET = HERE / "recorded_logits.parquet"
CHECKPOINT_KEY = b"checkpoint_sha256"


def main() -> None:
    """Read the options, run the checkpoint, write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="the folder that the shipped bundle was exported from")
    checkpoint = Checkpoint.open(parser.parse_args().checkpoint)
    samples = [tokenize(checkpoint, read_papers(HERE / name, checkpoint.labels[1])) for name in SAMPLES]
    token_ids = [ids for sample in samples for ids in sample.token_ids]
    logits = pytorch_logits(load_model(checkpoint.folder), token_ids, available_cores())
    table = pa.table(
        {
            "id": pa.array([paper_id for sample in samples for paper_id in sample.papers.ids]),
            "tokens": pa.array([len(ids) for ids in token_ids], pa.int16()),
            "logits": pa.FixedSizeListArray.from_arrays(pa.array(logits.ravel()), logits.shape[1]),
        },
        metadata={CHECKPOINT_KEY: checkpoint.digest.encode()},
    )
    pq.write_table(table, TARGET, compression="zstd", compression_level=22, write_page_checksum=True)


if __name__ == "__main__":
    main()
