"""`-` for a file: papers from stdin, labels to stdout, for ad-hoc use.

Both go by way of temporary files, so that a pipe has the contract of a file: stdout gets all labels or none, in the
order of the papers, and memory holds one part. What a killed run had done is gone with its temporary files.
"""

import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from ro32.cli.streams import STDIN, STDOUT
from ro32.data.labels import read_provenance
from ro32.data.writers import FOOTER_KEY, Form, TextWriter
from ro32.errors import InputDataError, InputMissingError, ReadWriteError, Ro32Error, UsageError, one_line
from ro32.storage.urls import ObjectUrl, place

DASH = "-"
_READ_BYTES = 1 << 20
_ARROW_STREAM = b"\xff\xff\xff\xff"
"""How Arrow's IPC streams begin: the mark of a message.

Source: https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format
"""


@contextmanager
def spooled(papers: Sequence[str], output: str) -> Iterator[tuple[Sequence[str], Path | ObjectUrl, str]]:
    """Put files in the places of stdin, stdout and the pipes of a shell.

    Yields:
        What to read, where to write, and how the names of these files begin, which means nothing to a user.

    `-` and /dev/stdin are stdin, `-` and /dev/stdout are stdout. Stdin and pipes such as <(zcat a.gz) may hold an Arrow
    IPC stream or any form that a file may have. Stdout gets its content when the block ends well: an Arrow IPC stream
    if one came in, and JSON lines otherwise.
    """
    pipes = {
        text: number
        for text in papers
        if (number := STDIN if text == DASH or _number(text) == STDIN else open_pipe(text)) is not None
    }
    if STDIN in pipes.values() and len(papers) > 1:
        raise UsageError(
            f"expected {DASH} (stdin) as the only input, found {len(papers)} inputs; name files, or {DASH}"
        )
    if pipes and output.endswith(os.sep):
        raise UsageError(f"{output} is a folder, which needs input files; name a file, or {DASH} for stdout")
    to_stdout = output == DASH or _number(output) == STDOUT
    if not pipes and not to_stdout:
        yield papers, place(output), ""
        return
    with TemporaryDirectory(prefix="ro32-", ignore_cleanup_errors=True) as created:
        name = os.path.realpath(created)
        files = {text: Path(name, f"pipe-{number}" if number else "stdin") for text, number in pipes.items()}
        arrow = [_receive(pipes[text], file) for text, file in files.items()]
        labels, folder = Path(name, "stdout"), f"{name}{os.sep}"
        try:
            yield [str(files.get(text, text)) for text in papers], labels if to_stdout else place(output), folder
        except Ro32Error as error:  # the folder is gone when its user reads the message
            error.args = tuple(str(part).replace(folder, "") for part in error.args)
            raise
        if labels.exists():
            _send(labels, arrow=any(arrow))


def _number(text: str) -> int | None:
    """Return the descriptor that a path of an open file names; None for any other path."""
    match = re.fullmatch(r"/(?:dev|proc/self)/fd/([0-9]{1,9})", text)
    return int(match[1]) if match else {"/dev/stdin": STDIN, "/dev/stdout": STDOUT}.get(text)


def open_pipe(text: str) -> int | None:
    """Return the descriptor of the pipe that a path names, if it is open already, as that of <(...) is."""
    number = _number(text)
    with suppress(OSError):  # it is not open
        if number is not None and stat.S_ISFIFO(os.fstat(number).st_mode):
            os.set_blocking(number, True)
            return number
    return None


def _receive(descriptor: int, path: Path) -> bool:
    """Write the content of a pipe to a file (an Arrow stream as Parquet), and return whether it was one."""
    name = path.stem
    try:
        with path.open("w+b") as file:
            file.writelines(_blocks(descriptor, name))
            file.seek(0)
            if file.read(len(_ARROW_STREAM)) != _ARROW_STREAM:
                return False
            file.seek(0)
            converted = path.with_suffix(".parquet")
            with pa.ipc.open_stream(file) as stream:
                kept = [at for at, field in enumerate(stream.schema) if _parquet_holds(field)]
                with pq.ParquetWriter(converted, pa.schema([stream.schema.field(at) for at in kept])) as writer:
                    for batch in stream:
                        batch.validate(full=True)
                        writer.write_batch(batch.select(kept))
        converted.replace(path)
    except (pa.ArrowException, OSError) as error:  # of Arrow, which found damage, if it has no number
        if isinstance(error, OSError) and error.errno is not None:
            raise ReadWriteError(
                f"{name}: cannot be stored in {path.parent}: {error.strerror}; free space there, or set TMPDIR"
            ) from error
        raise InputDataError(f"{name}: its Arrow stream is damaged: {one_line(error)}; send it again") from error
    return True


def _parquet_holds(field: pa.Field) -> bool:
    """Return whether Parquet has a column's type; what has another one, as an interval has, is no column of papers."""
    with suppress(pa.ArrowException):
        pq.ParquetWriter(pa.BufferOutputStream(), pa.schema([field])).close()
        return True
    return False


def _blocks(descriptor: int, name: str) -> Iterator[bytes]:
    try:
        with os.fdopen(descriptor, "rb", closefd=False) as source:
            while block := source.read(_READ_BYTES):
                yield block
    except OSError as error:  # a folder, for example
        raise InputMissingError(f"{name}: cannot be read: {error.strerror}; send papers, or name a file") from error


def _send(path: Path, *, arrow: bool) -> None:
    """Write labels to stdout. Not by way of `sys.stdout`, which would try again at the end of the process."""
    try:
        with pq.ParquetFile(path) as labels, os.fdopen(STDOUT, "wb", closefd=False) as stdout:
            schema = labels.schema_arrow
            if arrow:
                footer = {FOOTER_KEY: json.dumps(read_provenance(path))}
                with pa.ipc.new_stream(stdout, schema.with_metadata(footer)) as stream:
                    for batch in labels.iter_batches():
                        stream.write_batch(batch.replace_schema_metadata(footer))
                return
            writer = TextWriter(stdout, schema, Form.JSON_LINES)
            for batch in labels.iter_batches():
                writer.write(pa.Table.from_batches([batch]))
    except OSError as error:
        raise ReadWriteError(f"stdout: writing failed: {error.strerror or error}; the output is incomplete") from error
