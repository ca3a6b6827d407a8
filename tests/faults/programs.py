"""Main programs that jobs run besides ro32-score. Imported by the fork server, so each starts at once."""

import json
import shutil
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ro32.data.parquet import read_batches, read_footer
from ro32.errors import Ro32Error


def describe() -> None:
    """Print what pyarrow, with every check that it has, says of the columns of a file that could be papers.

    As JSON: names of columns of strings, names of columns that could be ids, and the names of those that are sound, be
    their text UTF-8 or not.
    """
    texts, ids, sound = [], [], []
    try:
        with pq.ParquetFile(sys.argv[1], page_checksum_verification=True, memory_map=False) as file:
            schema = file.schema_arrow
        usable = {field.name: _kind(field.type) for field in schema if schema.names.count(field.name) == 1}
        texts = [name for name, kind in usable.items() if kind == "text"]
        ids = [name for name, kind in usable.items() if kind]
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        pass
    for name in ids:
        try:
            with pq.ParquetFile(sys.argv[1], page_checksum_verification=True, memory_map=False) as file:
                column = file.read(columns=[name]).column(0)
            if _kind(column.type) == "text" and not pa.types.is_dictionary(column.type):
                column = column.cast(pa.large_binary())  # what is no UTF-8 costs its row alone
            column.validate(full=True)
        except (pa.ArrowException, OSError):
            continue
        sound.append(name)
    sys.stdout.write(json.dumps({"texts": texts, "ids": ids, "sound": sound}))


def _kind(data_type: pa.DataType) -> str:
    """Tell whether a column of this type holds text, or integers, or neither."""
    if pa.types.is_dictionary(data_type):
        return _kind(data_type.value_type)
    if data_type in {pa.string(), pa.large_string(), pa.string_view()}:
        return "text"
    return "integers" if pa.types.is_integer(data_type) else ""


def decode() -> None:
    """Read columns of a file one by one, as ro32 reads papers; print the exit code of each as JSON."""
    path, *columns = sys.argv[1:]
    codes = {}
    for name in columns:
        codes[name] = 0
        try:
            read_footer(Path(path))
            for _ in read_batches(Path(path), [name]):
                pass
        except Ro32Error as error:
            codes[name] = error.exit_code
    sys.stdout.write(json.dumps(codes))


def write_and_remove() -> None:
    """Write a file by pyarrow's own means and one by Python's, in a new folder; rename one; remove the folder."""
    folder = Path(sys.argv[1])
    folder.mkdir()
    pq.write_table(pa.table({"a": [1, 2, 3]}), folder / "a.parquet")
    (folder / "b.txt").write_text("content")
    (folder / "b.txt").rename(folder / "c.txt")
    shutil.rmtree(folder)


def allocate() -> None:
    """Fill as many bytes of memory as asked for."""
    sys.stdout.write(str(len(bytearray(int(sys.argv[1])))))


def sleep() -> None:
    """Do nothing for a while."""
    time.sleep(float(sys.argv[1]))
