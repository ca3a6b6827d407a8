"""`-` for a file: papers from stdin, labels to stdout, for ad-hoc use.

Both go by way of temporary files, so that a pipe has the contract of a file: stdout gets all labels or none, in the
order of the papers, and memory holds one part. What a killed run had done is gone with its temporary files.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from ro32.data.labels import read_provenance
from ro32.data.writers import FOOTER_KEY, Form, TextWriter
from ro32.errors import InputDataError, ReadWriteError, UsageError
from ro32.storage.urls import ObjectUrl, place

DASH = "-"
Place = Path | ObjectUrl
_ARROW_STREAM = b"\xff\xff\xff\xff"
"""How Arrow's IPC streams begin: the mark of a message.

Source: https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format
"""
_STDOUT = 1


@contextmanager
def spooled(papers: Sequence[str], output: str) -> Iterator[tuple[Sequence[str], Place]]:
    """Put files in the places of stdin and stdout.

    Args:
        papers: What to read; `-` stands for stdin, which may hold an Arrow IPC stream or any form that a file may have.
        output: Where the labels go; `-` stands for stdout, which gets an Arrow IPC stream where stdin held one, and
            JSON lines otherwise.

    Yields:
        The files to read, and the file to write. Stdout gets its content when the block ends well.

    Raises:
        UsageError: Stdin is named among other inputs, or its labels are to go to a folder.
        InputDataError: An Arrow stream is damaged.
        ReadWriteError: Stdin, stdout or the disk failed.
    """
    if DASH in papers and len(papers) > 1:
        raise UsageError(f"expected {DASH} for stdin alone, found {len(papers)} inputs; name files, or {DASH}")
    if DASH in papers and output.endswith(os.sep):
        raise UsageError(f"{output} is a folder, which gets the labels of files; name a file, or {DASH} for stdout")
    if DASH not in papers and output != DASH:
        yield papers, place(output)
        return
    with TemporaryDirectory(prefix="ro32-") as name:
        arrow = False
        if DASH in papers:
            arrow = _receive(Path(name, "stdin"))
            papers = [str(Path(name, "stdin"))]
        if output != DASH:
            yield papers, place(output)
            return
        yield papers, Path(name, "labels.parquet")
        if Path(name, "labels.parquet").exists():
            _send(Path(name, "labels.parquet"), arrow=arrow)


def _receive(path: Path) -> bool:
    """Write stdin to a file, an Arrow stream as Parquet, and tell whether it was one."""
    try:
        with path.open("w+b") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
            file.seek(0)
            if file.read(len(_ARROW_STREAM)) != _ARROW_STREAM:
                return False
            file.seek(0)
            converted = path.with_suffix(".parquet")
            with pa.ipc.open_stream(file) as stream, pq.ParquetWriter(converted, stream.schema) as writer:
                for batch in stream:
                    batch.validate(full=True)
                    writer.write_batch(batch)
        converted.replace(path)
    except pa.ArrowException as error:
        raise InputDataError(
            f"stdin: its Arrow stream is damaged: {' '.join(str(error).split())}; send it anew"
        ) from error
    except OSError as error:
        raise ReadWriteError(f"stdin: cannot be kept in {path.parent}: {error.strerror or error}; run again") from error
    return True


def _send(path: Path, *, arrow: bool) -> None:
    """Write labels to stdout. Not by way of `sys.stdout`, which would try again at the end of the process."""
    try:
        with pq.ParquetFile(path) as labels, os.fdopen(_STDOUT, "wb", closefd=False) as stdout:
            schema = labels.schema_arrow
            if arrow:
                told = {FOOTER_KEY: json.dumps(read_provenance(path))}
                with pa.ipc.new_stream(stdout, schema.with_metadata(told)) as stream:
                    for batch in labels.iter_batches():
                        stream.write_batch(batch.replace_schema_metadata(told))
                return
            writer = TextWriter(stdout, schema, Form.JSON_LINES)
            for batch in labels.iter_batches():
                writer.write(pa.Table.from_batches([batch]))
    except OSError as error:
        raise ReadWriteError(
            f"stdout: writing failed: {error.strerror or error}; it holds a part of the labels"
        ) from error
