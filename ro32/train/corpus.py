"""The tokenized dump on disk: written once per dump and tokenizer, then read through a memory map."""

import hashlib
import json
import mmap
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
import polars as pl
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ro32.data.dates import appeared, months
from ro32.errors import DISK_ERRNOS, InputDataError, OutputError, ReadWriteError, UsageError
from ro32.model.text import PaperTokenizer, normalize
from ro32.model.text_form import TextForm
from ro32.storage.durable import sync_files
from ro32.train.dump import Dump

FORMAT = 4
TOKENS, PAPERS, META = "tokens.bin", "papers.parquet", "meta.json"


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """n papers, tokenized; arrays have the shape (n,) but for the tokens."""

    tokens: NDArray[np.unsignedinteger]  # flat, a memory map; every paper ends with the separator token
    starts: NDArray[np.int64]  # where a paper begins in tokens
    lengths: NDArray[np.int64]  # a paper's tokens, 1 to the length the corpus was tokenized to
    id_hashes: NDArray[np.uint64]  # see hash_id
    categories: pl.Series  # a paper's categories, separated by single spaces
    months: NDArray[np.int32]  # months since year 0 of a paper's first version; ro32.data.dates.UNKNOWN if unknown
    negative: NDArray[np.bool_]  # is the paper from the file of negatives, whatever it is?
    teacher: NDArray[np.float32]  # log-odds that the dump gives the papers; NaN if it gives none
    vocabulary_size: int  # every token id is below it
    digest: str  # of the dump's bytes, with the share that was taken of it
    duplicates: int  # rows left out because a later update of the same paper is in the dump
    empty: int  # papers left out because they have no usable text
    mapping: mmap.mmap  # behind tokens

    def __len__(self) -> int:
        return len(self.starts)

    def release(self) -> None:
        """Give back the memory of tokens that were read; they are read from the disk again when they are needed."""
        self.mapping.madvise(mmap.MADV_DONTNEED)

    def positives(self, category: str) -> NDArray[np.bool_]:
        """Return which papers list `category` anywhere among theirs, shape (n,)."""
        return (" " + self.categories + " ").str.contains(f" {category} ", literal=True).to_numpy()

    def listed(self, index: NDArray[np.int64], names: Sequence[str]) -> NDArray[np.bool_]:
        """Return which papers of `index`, shape (b,), list which of c categories, shape (b, c)."""
        of_papers = [set(text.split(" ")) for text in self.categories.gather(index)]
        found = [[name in categories for name in names] for categories in of_papers]
        return np.array(found, dtype=np.bool_).reshape(len(index), len(names))

    def rows(self, index: NDArray[np.int64], *, length: int, pad: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Gather b papers as input_ids and attention_mask, both of shape (b, t), int64.

        A paper longer than t tokens is cut on the right and keeps its closing separator; `pad` fills a row up.
        """
        input_ids = np.full((len(index), length), pad, dtype=np.int64)
        attention_mask = np.zeros((len(index), length), dtype=np.int64)
        for row, paper in enumerate(index):
            start, stop = self.starts[paper], self.starts[paper] + self.lengths[paper]
            used = min(self.lengths[paper], length)
            input_ids[row, :used] = self.tokens[start : start + used]
            input_ids[row, used - 1] = self.tokens[stop - 1]
            attention_mask[row, :used] = 1
        return input_ids, attention_mask


def hash_id(paper_id: str, *, seed: int) -> int:
    """Return 64 stable bits of a paper's id; among 2.5 million papers two share them with a probability of 2e-7."""
    return int.from_bytes(hashlib.blake2b(paper_id.encode(), digest_size=8, salt=seed.to_bytes(16, "little")).digest())


def default_cache() -> Path:
    """Return the user's folder of tokenized dumps; raise UsageError if the user has no home."""
    try:
        return platformdirs.user_cache_path("ro32")
    except RuntimeError as error:
        raise UsageError("--cache: the user has no home; name a folder, or set HOME or XDG_CACHE_HOME") from error


def load_corpus(
    dump: Dump,
    *negatives: Dump,
    tokenizer_json: bytes,
    max_length: int,
    cache: Path,
    form: TextForm = TextForm.RO32,
    share: float = 1.0,
    on_rows: Callable[[int], object] = lambda _rows: None,
) -> Corpus:
    """Return the tokenized dump, from the cache folder if it is there: a subfolder, which appears by one rename.

    Args:
        dump: What to tokenize.
        negatives: All papers of these dumps count as negative, also those that are in `dump` too.
        tokenizer_json: The base model's tokenizer.
        max_length: Longest sequence, tokens.
        cache: Folder of all cached corpora.
        form: What of a paper is tokenized.
        share: Take this share of the papers of `dump`, chosen by the hash of their id.
        on_rows: Called with the number of rows done since the last call.

    Raises:
        InputDataError: A dump is damaged, or no paper has text.
        OutputError: The cache folder cannot be written.
        ReadWriteError: The disk is full or failed.
    """
    dumps = [dump, *negatives]
    tokenizer_digest = hashlib.blake2b(tokenizer_json).hexdigest()
    key = json.dumps([FORMAT, [each.digest for each in dumps], tokenizer_digest, max_length, form, share])
    folder = cache / hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
    with suppress(OSError, ValueError, pl.exceptions.PolarsError):  # not there yet, or damaged, as by a cleaned cache
        return _read(folder)
    shutil.rmtree(folder, ignore_errors=True)
    tokenizer = PaperTokenizer(tokenizer_json, max_length=max_length, form=form)
    vocabulary_size = 1 + max(Tokenizer.from_buffer(tokenizer_json).get_vocab().values())
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=cache) as name:
            beside = Path(name) / folder.name
            beside.mkdir()
            _write(dumps, tokenizer, vocabulary_size, beside, share=share, on_rows=on_rows)
            sync_files(beside)
            try:
                beside.rename(folder)
            except OSError:  # another run was faster
                if not (folder / META).exists():
                    raise
    except OSError as error:
        kind = ReadWriteError if error.errno in DISK_ERRNOS else OutputError
        raise kind(
            f"{cache}: the tokenized dump cannot be written there: {error.strerror}; name another --cache"
        ) from error
    return _read(folder)


def _write(
    dumps: Sequence[Dump],
    tokenizer: PaperTokenizer,
    vocabulary_size: int,
    folder: Path,
    *,
    share: float,
    on_rows: Callable[[int], object],
) -> None:
    dtype = np.uint16 if vocabulary_size <= 1 << 16 else np.uint32
    parts: list[pl.DataFrame] = []
    with (folder / TOKENS).open("wb") as file:
        for negative, frame in ((at > 0, frame) for at, dump in enumerate(dumps) for frame in dump.frames()):
            hashes = np.fromiter((hash_id(i, seed=0) for i in frame["id"]), dtype=np.uint64, count=len(frame))
            taken = np.ones(len(frame), dtype=np.bool_)
            if share < 1 and not negative:
                taken = hashes < np.uint64(min(int(share * 2**64), 2**64 - 1))
            texts = frame.filter(taken).with_columns(normalize(pl.col("title", "abstract")))
            rows = tokenizer.encode_batch(texts["title"].to_list(), texts["abstract"].to_list())
            lengths = np.array([len(row) for row in rows], dtype=np.int64)
            np.fromiter((i for row in rows for i in row), dtype=dtype, count=int(lengths.sum())).tofile(file)
            facts = texts.select(normalize(pl.col("categories")), pl.col("update_date").fill_null(""), "teacher")
            parts.append(
                facts.with_columns(
                    negative=pl.lit(negative),
                    id_hash=pl.Series(hashes[taken]),
                    month=pl.Series(months(appeared(texts, "id"))),
                    length=pl.Series(lengths),
                )
            )
            on_rows(len(frame))
    if not parts:
        raise InputDataError(f"{dumps[0].path}: expected papers, found no row; name another dump")
    start = pl.col("length").cum_sum() - pl.col("length")
    papers = pl.concat(parts).with_columns(start=start).with_row_index("row")
    # A stable sort keeps row order among equal dates, so the last row of the latest date remains, or a negative.
    dated = papers.sort("negative", "update_date", maintain_order=True)
    latest = dated.unique("id_hash", keep="last").sort("row")
    kept = latest.filter(pl.col("length") > 0)
    if kept.is_empty():
        raise InputDataError(f"{dumps[0].path}: expected papers with text, found none among {len(papers)} rows")
    kept.drop("row", "update_date").write_parquet(folder / PAPERS)
    meta = {
        "dump": dumps[0].digest,
        "share": share,
        "dtype": np.dtype(dtype).name,
        "vocabulary_size": vocabulary_size,
        "duplicates": len(papers) - len(latest),
        "empty": len(latest) - len(kept),
    }
    (folder / META).write_text(json.dumps(meta, indent=1))


def _read(folder: Path) -> Corpus:
    meta = json.loads((folder / META).read_text())
    papers = pl.read_parquet(folder / PAPERS)
    with (folder / TOKENS).open("rb") as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    tokens = np.frombuffer(mapping, dtype=meta["dtype"])
    if len(tokens) < papers["start"][-1] + papers["length"][-1]:
        raise ValueError(f"{folder}: tokens are missing")
    return Corpus(
        tokens=tokens,
        starts=papers["start"].to_numpy(),
        lengths=papers["length"].to_numpy(),
        id_hashes=papers["id_hash"].to_numpy(),
        categories=papers["categories"],
        months=papers["month"].to_numpy(),
        negative=papers["negative"].to_numpy(),
        teacher=papers["teacher"].fill_null(float("nan")).to_numpy(),
        vocabulary_size=meta["vocabulary_size"],
        digest=meta["dump"] if meta["share"] == 1 else f"{meta['dump']} (a share of {meta['share']:.6f})",
        duplicates=meta["duplicates"],
        empty=meta["empty"],
        mapping=mapping,
    )
