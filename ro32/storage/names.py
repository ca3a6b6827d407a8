"""Names in folders, on a disk and in a store: which may be papers, and which are ignored."""

from pathlib import PurePosixPath

HIDDEN = (".", "_")
"""How names begin that are not part of a dump: left-overs of whatever wrote it, and of runs of ours."""
DATA_SUFFIXES = frozenset({".parquet", ".parq", ".pq", ".jsonl", ".ndjson", ".csv", ".tsv"})
"""How names end, in letters of any case, that a folder's papers have."""
_COMPRESSED = frozenset({".gz", ".gzip", ".bz2", ".zst", ".zip"})
"""What may stand behind these."""


def is_data(name: str) -> bool:
    """Return by its name whether a file in a folder holds papers."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes[-2:]]
    if len(suffixes) > 1 and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in DATA_SUFFIXES
