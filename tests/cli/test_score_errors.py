"""Each thing that can be wrong with a call: its exit code, one sentence that says what to do, the target untouched."""

import errno
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ro32.cli.process import run
from ro32.cli.score import command as score_command
from ro32.errors import Interrupted
from ro32.storage import durable
from tests.command_line import Outcome, Score

OLD = b"yesterday's labels"


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """A target that is there already: whatever goes wrong, it must not change."""
    target = tmp_path / "labels.parquet"
    target.write_bytes(OLD)
    return target


def refused(outcome: Outcome, labels: Path, code: int, *words: str) -> None:
    assert outcome.code == code, outcome.stderr
    assert outcome.stdout == ""
    for word in words:
        assert word in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert labels.read_bytes() == OLD
    assert [path for path in labels.parent.iterdir() if path.name.endswith(".tmp")] == []


def test_missing_file(score: Score, labels: Path, tmp_path: Path) -> None:
    missing = tmp_path / "no.parquet"
    refused(score(missing, "-o", labels), labels, 66, str(missing), "does not exist", "name a file")


def test_pattern_that_matches_nothing(score: Score, labels: Path, tmp_path: Path) -> None:
    refused(score(tmp_path / "no-*.parquet", "-o", labels), labels, 66, "no file matches")


def test_folder_without_parquet(score: Score, labels: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(score(tmp_path / "empty", "-o", labels), labels, 66, "holds no file of papers")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(score: Score, labels: Path, tmp_path: Path, papers: pl.DataFrame) -> None:
    papers.write_parquet(tmp_path / "papers.parquet")
    (tmp_path / "papers.parquet").chmod(0)
    refused(score(tmp_path / "papers.parquet", "-o", labels), labels, 66, "permissions")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_folder_within_the_input(score: Score, labels: Path, tmp_path: Path, papers: pl.DataFrame) -> None:
    (tmp_path / "dump" / "closed").mkdir(parents=True)
    papers.write_parquet(tmp_path / "dump" / "papers.parquet")
    (tmp_path / "dump" / "closed").chmod(0)
    refused(score(tmp_path / "dump", "-o", labels), labels, 66, "closed", "permissions")


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + ".parquet/papers.parquet"])
def test_a_path_that_the_system_refuses(
    score: Score, labels: Path, tmp_path: Path, papers_path: Path, name: str
) -> None:
    refused(score(tmp_path / name, "-o", labels), labels, 66, "File name too long", "check the path")
    refused(score(papers_path, "-o", tmp_path / name), labels, 73, "cannot be created", "File name too long")


def test_output_is_a_link_to_itself(score: Score, labels: Path, tmp_path: Path, papers_path: Path) -> None:
    (tmp_path / "loop.parquet").symlink_to(tmp_path / "loop.parquet")
    refused(score(papers_path, "-o", tmp_path / "loop.parquet"), labels, 73, "cannot be created")


@pytest.mark.parametrize("content", [b"", b"id,title,abstract 1,a,b", b"PAR1" + bytes(100) + b"PAR1"])
def test_not_parquet(score: Score, labels: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "papers.parquet").write_bytes(content)
    refused(score(tmp_path / "papers.parquet", "-o", labels), labels, 65, "papers.parquet", "get the file again")


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.999])
def test_truncated_parquet(score: Score, labels: Path, tmp_path: Path, papers: pl.DataFrame, keep: float) -> None:
    path = tmp_path / "papers.parquet"
    papers.write_parquet(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    refused(score(path, "-o", labels), labels, 65, "papers.parquet", "cut off")


def test_damaged_page(score: Score, labels: Path, tmp_path: Path, papers: pl.DataFrame) -> None:
    path = tmp_path / "papers.parquet"
    pq.write_table(papers.to_arrow(), path, write_page_checksum=True)
    column = pq.read_metadata(path).row_group(0).column(2)
    data = bytearray(path.read_bytes())
    data[(column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size // 2] ^= 4
    path.write_bytes(data)
    refused(score(path, "-o", labels), labels, 65, "row group 0", "CRC")


def test_a_footer_that_contradicts_itself(score: Score, labels: Path, tmp_path: Path, papers: pl.DataFrame) -> None:
    """One flipped bit makes a footer announce fewer rows than its row groups hold; pyarrow would read just those."""
    path = tmp_path / "papers.parquet"
    pq.write_table(papers.head(40).select("id", "title", "abstract").to_arrow(), path, store_schema=False)
    good = path.read_bytes()
    start = len(good) - 8 - int.from_bytes(good[-8:-4], "little")
    for bit in range(8 * start, 8 * len(good)):
        data = bytearray(good)
        data[bit // 8] ^= 1 << bit % 8
        with suppress(OSError, pa.ArrowException, UnicodeDecodeError):
            footer = pq.read_metadata(pa.BufferReader(data))
            if 0 < footer.num_rows < 40 == footer.row_group(0).num_rows:
                path.write_bytes(data)
                refused(score(path, "-o", labels), labels, 65, f"announces {footer.num_rows} rows", "but 40")
                return
    pytest.fail("no bit of the footer holds the number of rows")


def test_a_column_name_that_is_not_utf8(score: Score, labels: Path, tmp_path: Path, papers: pl.DataFrame) -> None:
    path = tmp_path / "papers.parquet"
    pq.write_table(papers.to_arrow(), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"categories", b"\xffategories"))
    refused(score(path, "-o", labels), labels, 65, "papers.parquet", "utf-8", "get the file again")


def test_invalid_utf8(score: Score, labels: Path, tmp_path: Path) -> None:
    broken = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\x00\x00\x00\x00\x02\x00\x00\x00"), pa.py_buffer(b"\xff\xfe")]
    )
    pq.write_table(pa.table({"id": ["a"], "title": broken, "abstract": ["b"]}), tmp_path / "papers.parquet")
    refused(score(tmp_path / "papers.parquet", "-o", labels), labels, 65, "1 invalid_utf8")


def test_missing_column(score: Score, labels: Path, tmp_path: Path, papers: pl.DataFrame) -> None:
    papers.rename({"abstract": "summary"}).write_parquet(tmp_path / "papers.parquet")
    outcome = score(tmp_path / "papers.parquet", "-o", labels)
    refused(outcome, labels, 65, "'abstract'", "summary", "categories", "--abstract-column")


def test_renamed_columns(score: Score, tmp_path: Path, papers: pl.DataFrame) -> None:
    papers.rename({"id": "paper", "title": "name", "abstract": "summary"}).write_parquet(tmp_path / "papers.parquet")
    options = ["--id-column", "paper", "--title-column", "name", "--abstract-column", "summary"]
    assert score(tmp_path / "papers.parquet", "-o", tmp_path / "labels.parquet", *options).code == 0
    assert pl.read_parquet(tmp_path / "labels.parquet")["id"].equals(papers["id"])


def test_one_column_under_two_names(score: Score, labels: Path, papers_path: Path) -> None:
    refused(score(papers_path, "-o", labels, "--title-column", "abstract"), labels, 2, "three columns")


@pytest.mark.parametrize(("column", "value"), [("title", 1), ("abstract", [1]), ("id", 1.5)])
def test_wrong_column_type(
    score: Score, labels: Path, tmp_path: Path, papers: pl.DataFrame, column: str, value: object
) -> None:
    papers.with_columns(pl.lit(pl.Series([value])).first().alias(column)).write_parquet(tmp_path / "papers.parquet")
    refused(score(tmp_path / "papers.parquet", "-o", labels), labels, 65, f"column '{column}'", "expected strings")


def test_output_folder_missing(score: Score, labels: Path, papers_path: Path, tmp_path: Path) -> None:
    outcome = score(papers_path, "-o", tmp_path / "no" / "labels.parquet")
    refused(outcome, labels, 73, "cannot be created", "folder that exists")


def test_output_folder_not_writable(score: Score, labels: Path, papers_path: Path) -> None:
    # Not even root may create a file there, so this test speaks for every user.
    refused(score(papers_path, "-o", "/proc/labels.parquet"), labels, 73, "/proc/labels.parquet", "cannot be created")


def test_output_is_a_folder(score: Score, labels: Path, papers_path: Path, tmp_path: Path) -> None:
    refused(score(papers_path, "-o", tmp_path), labels, 73, "is a folder")


@pytest.mark.parametrize("kind", ["same", "symlink", "hardlink", "other-spelling", "folder"])
def test_output_is_the_input(score: Score, labels: Path, tmp_path: Path, papers: pl.DataFrame, kind: str) -> None:
    source = tmp_path / "papers" / "papers.parquet"
    source.parent.mkdir()
    papers.write_parquet(source)
    before = source.read_bytes()
    target = tmp_path / "link.parquet"
    match kind:
        case "symlink":
            target.symlink_to(source)
        case "hardlink":
            target.hardlink_to(source)
        case "other-spelling":
            target = source.parent / ".." / "papers" / "papers.parquet"
        case _:
            target = source
    outcome = score(source.parent if kind == "folder" else source, "-o", target)
    refused(outcome, labels, 73, "is the input file")
    assert source.read_bytes() == before


def test_a_symbolic_link_as_target_is_followed(score: Score, tmp_path: Path, papers: pl.DataFrame) -> None:
    papers.head(3).write_parquet(tmp_path / "papers.parquet")
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "labels.parquet").write_bytes(b"older labels")
    (tmp_path / "labels.parquet").symlink_to(tmp_path / "real" / "labels.parquet")
    assert score(tmp_path / "papers.parquet", "-o", tmp_path / "labels.parquet").code == 0
    assert (tmp_path / "labels.parquet").is_symlink()
    assert pl.read_parquet(tmp_path / "real" / "labels.parquet").height == 3


def test_bundle_missing(score: Score, labels: Path, papers_path: Path, tmp_path: Path) -> None:
    refused(score(papers_path, "-o", labels, bundle=tmp_path / "no"), labels, 78, "bundle.json", "--bundle")


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "bundle.json"])
def test_bundle_altered_by_one_byte(
    score: Score, labels: Path, papers_path: Path, tmp_path: Path, tiny_bundle: Path, name: str
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, bundle)
    size = (bundle / name).stat().st_size
    for position in range(0, size, max(1, size // 23)):
        data = bytearray((bundle / name).read_bytes())
        data[position] ^= 1
        (bundle / name).write_bytes(data)
        refused(score(papers_path, "-o", labels, bundle=bundle), labels, 78, str(bundle), name)
        data[position] ^= 1
        (bundle / name).write_bytes(data)


@pytest.mark.parametrize("option", ["--threads", "--part-rows"])
def test_numbers_below_one(score: Score, labels: Path, papers_path: Path, option: str) -> None:
    refused(score(papers_path, "-o", labels, option, "0"), labels, 2, option)


def test_no_input(score: Score, labels: Path) -> None:
    refused(score("-o", labels), labels, 2, "PAPERS")


def test_ids_of_two_kinds(score: Score, labels: Path, tmp_path: Path, papers: pl.DataFrame) -> None:
    papers.write_parquet(tmp_path / "a.parquet")
    papers.with_columns(id=pl.int_range(papers.height)).write_parquet(tmp_path / "b.parquet")
    refused(score(tmp_path / "a.parquet", tmp_path / "b.parquet", "-o", labels), labels, 65, "a.parquet", "b.parquet")


def test_a_disk_that_does_not_confirm_new_labels(
    score: Score, labels: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rename cannot be taken back, and the message must not say that nothing was published."""

    def sync(folder: Path) -> None:
        if folder == labels.parent and labels.read_bytes() != OLD:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(durable, "sync_folder", sync)
    outcome = score(source, "-o", labels)
    assert outcome.code == 74
    assert "is in place and complete" in outcome.stderr
    assert "nothing was published" not in outcome.stderr
    assert pl.read_parquet(labels).height == pl.read_parquet(source).height


def test_a_folder_that_cannot_be_synced_holds_labels(
    score: Score, labels: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on older SMB."""
    fsync = os.fsync

    def sync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", sync)
    outcome = score(source, "-o", labels)
    assert outcome.code == 0, outcome.stderr


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOTCONN])
@pytest.mark.parametrize("function", ["run.plan.identity_of", "run.job.content_mark_of"])
def test_papers_on_a_file_system_that_failed(
    score: Score, labels: Path, source: Path, monkeypatch: pytest.MonkeyPatch, number: int, function: str
) -> None:
    def fail(_: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(f"ro32.{function}", fail)
    refused(score(source, "-o", labels), labels, 74, f"{source}: reading failed: {os.strerror(number)}")


def test_a_signal_while_a_library_works_is_no_fault_of_the_library(
    score: Score, labels: Path, papers_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_args: object, **_options: object) -> None:
        raise Interrupted(signal.SIGTERM)

    monkeypatch.setattr("ro32.model.classifier.ort.InferenceSession", stopped)
    refused(score(papers_path, "-o", labels), labels, 143, "stopped by SIGTERM")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_library_that_trips_over_a_signal_while_cleaning_up(
    score: Score, labels: Path, papers_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_format: str
) -> None:
    def tripped(*_args: object, **_options: object) -> None:
        try:
            raise Interrupted(signal.SIGTERM)
        finally:
            raise AttributeError("_lock")

    monkeypatch.setattr("ro32.model.classifier.ort.InferenceSession", tripped)
    report = tmp_path / "report.json"
    outcome = score(papers_path, "-o", labels, "--log-format", log_format, "--report", report)
    refused(outcome, labels, 143, "stopped by SIGTERM")
    assert "bug" not in outcome.stderr
    assert json.loads(report.read_text())["exit_code"] == 143


def test_a_signal_while_an_error_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[str] = []

    def stopped(text: str, **_options: object) -> None:
        reported.append(text)
        if len(reported) == 1:
            raise Interrupted(signal.SIGTERM)

    monkeypatch.setattr("ro32.cli.signals.signal.signal", lambda *_: None)  # pytest keeps its own handlers
    monkeypatch.setattr("ro32.cli.process.click.echo", stopped)
    with pytest.raises(SystemExit) as ended:
        run(score_command, ["missing.parquet", "-o", "labels.parquet"])
    assert ended.value.code == 143
    assert "stopped by SIGTERM" in reported[1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_run_at_once(
    labels: Path, tmp_path: Path, papers_path: Path, tiny_bundle: Path, number: int, code: int
) -> None:
    many = pl.concat([pl.read_parquet(papers_path)] * 20)
    many.write_parquet(tmp_path / "papers.parquet")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "ro32.cli.score", str(tmp_path / "papers.parquet"), "-o", str(labels)),
            *("--bundle", str(tiny_bundle), "--part-rows", "500"),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".labels.parquet.parts/*/*.parquet")):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    asked = time.monotonic()
    process.send_signal(number)
    stderr = process.communicate(timeout=30)[1]
    assert time.monotonic() - asked < 10  # 2 s are promised; a busy machine must not fail the test
    refused(Outcome(process.returncode, "", stderr), labels, code, "stopped by", "run again to resume")
