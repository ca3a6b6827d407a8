"""`-`: papers from stdin, labels to stdout, all of them or none."""

import fcntl
import io
import json
import os
import subprocess
import time
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from ro32.data.writers import FOOTER_KEY
from ro32.errors import UsageError


@pytest.fixture(scope="module")
def few(papers_path: Path) -> pl.DataFrame:
    return pl.read_parquet(papers_path).head(40)


@pytest.fixture(scope="module")
def expected(tiny_labels: Path) -> pl.DataFrame:
    return pl.read_parquet(tiny_labels).head(40)


class Piped:
    """`ro32-score - -o -` with the tiny bundle, as a shell calls it."""

    def __init__(self, python: Path, bundle: Path) -> None:
        self._command = [str(python), "-m", "ro32.cli.score", "--bundle", str(bundle), "--quiet"]

    def __call__(self, data: bytes, *args: str | Path, code: int = 0) -> subprocess.CompletedProcess[bytes]:
        """Send bytes to its stdin."""
        done = subprocess.run([*self._command, *map(str, args)], input=data, capture_output=True, check=False)
        assert done.returncode == code, done.stderr.decode()
        return done


@pytest.fixture(scope="module")
def piped(python: Path, tiny_bundle: Path) -> Piped:
    return Piped(python, tiny_bundle)


def test_json_lines_go_in_and_out(piped: Piped, few: pl.DataFrame, expected: pl.DataFrame) -> None:
    done = piped(few.write_ndjson().encode(), "-", "-o", "-", "--part-rows", "7")
    labels = pl.read_ndjson(done.stdout, schema_overrides={"score": pl.Float32, "error": pl.String})
    assert labels.equals(expected.with_columns(pl.col("content_hash").bin.encode("hex")))
    assert done.stderr == b""


def test_arrow_goes_in_and_out(piped: Piped, few: pl.DataFrame, expected: pl.DataFrame) -> None:
    stream = io.BytesIO()
    few.write_ipc_stream(stream)
    done = piped(stream.getvalue(), "-", "-o", "-")
    with pa.ipc.open_stream(done.stdout) as found:
        assert pl.DataFrame(found.read_all()).equals(expected)
        provenance = json.loads(found.schema.metadata[FOOTER_KEY.encode()])
    assert provenance["rows"]["rows"] == 40


def test_columns_of_types_that_parquet_lacks_are_ignored(
    piped: Piped, few: pl.DataFrame, expected: pl.DataFrame
) -> None:
    interval, struct = pa.array([(1, 2, 3)] * 40, pa.month_day_nano_interval()), pa.array([{}] * 40, pa.struct([]))
    table = few.to_arrow().add_column(0, "age", interval).append_column("empty", struct)
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    with pa.ipc.open_stream(piped(stream.getvalue(), "-", "-o", "-").stdout) as found:
        assert pl.DataFrame(found.read_all()).equals(expected)


def test_one_end_may_be_a_file(piped: Piped, few: pl.DataFrame, expected: pl.DataFrame, tmp_path: Path) -> None:
    piped(few.write_csv().encode(), "-", "-o", tmp_path / "labels.parquet")
    assert pl.read_parquet(tmp_path / "labels.parquet").equals(expected)
    few.write_parquet(tmp_path / "papers.parquet")
    done = piped(b"", tmp_path / "papers.parquet", "-o", "-", "--reuse", tmp_path / "labels.parquet")
    assert pl.read_ndjson(done.stdout)["id"].equals(few["id"])


def cut_stream() -> bytes:
    stream = io.BytesIO()
    pl.DataFrame({"id": ["1"], "title": ["A robot"], "abstract": ["grasps"]}).write_ipc_stream(stream)
    return stream.getvalue()[:-20]


@pytest.mark.parametrize("data", [b"", b"\xff\xff\xff\xff\x10", cut_stream(), b'{"id": "1"\n'])
def test_what_cannot_be_read_gives_nothing(piped: Piped, data: bytes) -> None:
    done = piped(data, "-", "-o", "-", code=65)
    assert done.stdout == b""
    assert done.stderr.startswith(b"ro32-score: stdin")


def test_a_reader_that_goes_away_is_reported_in_one_line(python: Path, few: pl.DataFrame, tiny_bundle: Path) -> None:
    command = f"{python} -m ro32.cli.score - -o - -q --bundle {tiny_bundle} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], input=few.write_ndjson().encode(), capture_output=True, check=False)
    assert done.returncode == 74
    assert done.stderr.decode().startswith("ro32-score: stdout: writing failed: Broken pipe")
    assert done.stderr.count(b"\n") == 1


def test_stdin_is_an_input_of_its_own(piped: Piped) -> None:
    done = piped(b"", "-", "papers.parquet", "-o", "-", code=UsageError.exit_code)
    assert b"name files, or -" in done.stderr
    assert b"--status needs a labels file" in piped(b"{}", "-", "-o", "-", "--status", code=2).stderr


def test_what_is_said_of_a_pipe_names_no_temporary_file(piped: Piped, tmp_path: Path) -> None:
    """They are gone when it is read; as a label of metrics they would be another target each night."""
    report, metrics = tmp_path / "report.json", tmp_path / "ro32.prom"
    args: list[str | Path] = ["-", "-o", "-", "--report", report, "--metrics-file", metrics]
    for more, code in (["--max-unscored", "1"], 0), ([], 65):
        done = piped(b'{"id": "1", "title": "a", "abstract": "b"}\nno JSON\n', *args, *more, code=code)
        assert b"warning: stdin: 1 row cannot be read" in done.stderr
        found = json.loads(report.read_text())
        assert found["warnings"][0]["message"].startswith("stdin: 1 row")
        assert found["labels"]["path"] == "stdout"
        assert "/ro32-" not in done.stderr.decode() + report.read_text() + metrics.read_text()


def test_a_pipe_that_is_empty_for_a_moment_is_not_at_its_end(
    python: Path, tiny_bundle: Path, few: pl.DataFrame
) -> None:
    """As of a parent that does not block, such as Node.js or ssh."""
    lines = few.write_ndjson().encode().splitlines(keepends=True)
    source, sink = os.pipe()
    back, front = os.pipe()
    os.set_blocking(source, False)
    os.set_blocking(front, False)
    fcntl.fcntl(front, fcntl.F_SETPIPE_SZ, 4096)
    command: list[str | Path] = [python, "-m", "ro32.cli.score", "-", "-o", "-", "--bundle", tiny_bundle, "--quiet"]
    with subprocess.Popen(command, stdin=source, stdout=front) as run, os.fdopen(back, "rb") as found:
        os.close(source)
        os.close(front)
        for piece in (lines[:20], lines[20:]):
            time.sleep(1)
            os.write(sink, b"".join(piece))
        os.close(sink)
        assert found.read().count(b"\n") == len(lines)
        assert run.wait(60) == 0
