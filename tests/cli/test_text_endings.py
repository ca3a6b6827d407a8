"""How runs over texts end, each in a process of its own."""

import gzip
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

Ends = Callable[..., str]
PAPER = {"id": "1", "title": "A robot", "abstract": "grasps"}


@pytest.fixture
def ends(python: Path, tiny_bundle: Path, tmp_path: Path) -> Ends:
    """Run `ro32-score` with the tiny bundle by a line of shell; return what it wrote to stderr."""
    score = f"{python} -m ro32.cli.score --bundle {tiny_bundle}"

    def call(arguments: str, code: int) -> str:
        done = subprocess.run(
            ["bash", "-c", f"{score} {arguments}"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    return call


def test_lines_that_cannot_be_read_are_rows_with_an_error(ends: Ends, tmp_path: Path) -> None:
    lines = [json.dumps(PAPER | {"id": number}) for number in (1.5, 2, 3, 4)]
    lines[1] = '{"id": "x", "title": "T", "abstract": NaN}'
    lines[2] = '{"id": 3, "title": "T", "abstract": ["a"]}'
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump" / "papers.JSONL.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    stderr = ends("dump -o labels.parquet", 65)
    assert "4 papers have no score (2 malformed)" in stderr
    assert "line 2: NaN is not JSON; line 3: expected a string as 'abstract', found a list" in stderr
    assert not (tmp_path / "labels.parquet").exists()
    ends("dump -o labels.tsv --max-unscored 0.5", 0)
    labels = pl.read_csv(tmp_path / "labels.tsv", separator="\t", infer_schema=False)
    assert labels["id"].to_list() == ["1.5", None, "3", "4"]
    assert labels["error"].to_list() == [None, "malformed", "malformed", None]
    ends("dump -o again.tsv --max-unscored 0.5 --part-rows 2", 0)
    assert (tmp_path / "again.tsv").read_bytes() == (tmp_path / "labels.tsv").read_bytes()


@pytest.mark.parametrize("pipe", ["<(cat papers.csv.gz)", "- < papers.csv.gz"])
def test_pipes_may_be_compressed(pipe: str, ends: Ends, tmp_path: Path) -> None:
    (tmp_path / "papers.csv.gz").write_bytes(gzip.compress(b"id,title,abstract\n1,A robot,grasps\n"))
    ends(f"-o labels.jsonl {pipe}", 0)
    assert json.loads((tmp_path / "labels.jsonl").read_text())["id"] == "1"


@pytest.mark.parametrize("name", ["labels.json", "labels.csv.GZ", "labels.xlsx", "labels.jsonlines"])
def test_a_name_promises_no_form_that_is_not_written(name: str, ends: Ends, tmp_path: Path) -> None:
    (tmp_path / "papers.jsonl").write_text(json.dumps(PAPER))
    assert "labels cannot be written as ." in ends(f"papers.jsonl -o {name}", 2)
    assert not (tmp_path / name).exists()


def test_labels_in_text_are_no_labels_to_measure(
    python: Path, papers: pl.DataFrame, ends: Ends, tmp_path: Path
) -> None:
    papers.head(8).write_parquet(tmp_path / "papers.parquet")
    ends("papers.parquet -o labels.csv", 0)
    command = [str(python), "-m", "ro32.cli.evaluate", "papers.parquet", "--labels", "labels.csv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 65
    assert "expected labels in Parquet, found delimited" in done.stderr


def test_utf_16_without_a_mark_is_named(ends: Ends, tmp_path: Path) -> None:
    (tmp_path / "papers.jsonl").write_bytes(json.dumps(PAPER).encode("utf-16-le"))
    assert "is UTF-16LE, not UTF-8" in ends("papers.jsonl -o labels.csv", 65)


@pytest.mark.parametrize("option", ["--id-column", "--categories-column"])
def test_the_name_of_a_column_may_be_any_bytes(option: str, ends: Ends, tmp_path: Path) -> None:
    pl.DataFrame([PAPER]).write_parquet(tmp_path / "papers.parquet")
    assert "\\x1b\\udcff" in ends(f"papers.parquet -o labels.csv {option} $'\\e\\xff'", 65)


def test_a_long_word_is_reported_at_once(ends: Ends, tmp_path: Path) -> None:
    (tmp_path / "papers.jsonl").write_text(json.dumps(PAPER))
    begun = time.monotonic()
    ends(f"papers.jsonl -o labels.csv --id-column {'x' * 100_000}", 65)
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("option", ["--threshold", "--max-unscored", "--max-expansion"])
def test_no_number_is_no_bound(option: str, ends: Ends) -> None:
    assert "'nan' is not a number" in ends(f"papers.jsonl -o labels.csv {option} nan", 2)


def test_a_date_out_of_range_is_no_date(ends: Ends, tmp_path: Path) -> None:
    dates = pl.Series([2**62], dtype=pl.Int64).cast(pl.Datetime("us"))
    pl.DataFrame([PAPER]).with_columns(categories=pl.lit("cs.RO"), update_date=dates).write_parquet(
        tmp_path / "papers.parquet"
    )
    ends("papers.parquet -o labels.csv", 0)
