"""--on-error: one damaged file among several ends the run, or is left out whole and named everywhere."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from ro32.data.labels import read_provenance
from ro32.errors import InputDataError, Interrupted
from ro32.model.classifier import Classifier
from ro32.run.job import OnError, Settings
from ro32.run.walk import Progress, Summary, score_file
from tests.command_line import Score, leftovers

Skip = Callable[..., Summary]


def write(frame: pl.DataFrame, path: Path) -> None:
    """Write papers with checksums, 20 a row group."""
    pq.write_table(frame.to_arrow(), path, write_page_checksum=True, row_group_size=20)


def damage(path: Path) -> None:
    """Flip a bit in the last row group: what comes before it reads well."""
    footer = pq.read_metadata(path)
    column = footer.row_group(footer.num_row_groups - 1).column(footer.schema.to_arrow_schema().names.index("abstract"))
    data = bytearray(path.read_bytes())
    data[(column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size // 2] ^= 4
    path.write_bytes(data)


@pytest.fixture
def folder(papers: pl.DataFrame, tmp_path: Path) -> Path:
    """Three files of a hundred papers; the last row group of the second is damaged."""
    (tmp_path / "dump").mkdir()
    for number, name in enumerate("abc"):
        write(papers.slice(number * 100, 100), tmp_path / "dump" / f"{name}.parquet")
    damage(tmp_path / "dump" / "b.parquet")
    return tmp_path / "dump"


@pytest.fixture
def skip(folder: Path, tmp_path: Path, classifier: Classifier) -> Skip:
    """Label the folder, and leave damaged files out."""

    def call(on_progress: Callable[[Progress], None] = lambda _: None) -> Summary:
        return score_file(
            [str(folder)],
            tmp_path / "labels.parquet",
            classifier=classifier,
            settings=Settings(part_rows=30, on_error=OnError.SKIP_FILE),
            on_progress=on_progress,
        )

    return call


def test_by_default_a_damaged_file_ends_the_run(score: Score, folder: Path, tmp_path: Path) -> None:
    outcome = score(folder, "-o", tmp_path / "labels.parquet")
    assert outcome.code == 65
    assert "b.parquet, row group 4" in outcome.stderr
    assert not (tmp_path / "labels.parquet").exists()


def test_a_damaged_file_can_be_left_out(score: Score, folder: Path, tmp_path: Path, papers: pl.DataFrame) -> None:
    """None of its rows is there, not even those before the damage; and nobody can overlook it."""
    labels, report = tmp_path / "labels.parquet", tmp_path / "run.json"
    outcome = score(folder, "-o", labels, "--on-error", "skip-file", "--report", report)
    assert outcome.code == 0
    assert pl.read_parquet(labels)["id"].equals(pl.concat([papers["id"][:100], papers["id"][200:300]]))
    warning, summary = outcome.stderr.splitlines()
    assert warning.startswith(f"ro32-score: warning: {folder}/b.parquet is skipped: {folder}/b.parquet, row group 4")
    assert ", 1 file skipped; " in summary
    provenance, reported = read_provenance(labels), json.loads(report.read_text())
    assert provenance is not None
    for skipped in (provenance["skipped_files"], reported["input"]["skipped"]):
        ((path, reason),) = [tuple(file.values()) for file in skipped]
        assert path == f"{folder}/b.parquet"
        assert "CRC" in reason
    assert [item["kind"] for item in reported["warnings"]] == ["skipped_file"]
    assert (reported["input"]["files"], reported["stages"]["verify"] > 0) == (2, True)


def no_parquet(path: Path) -> None:
    path.write_bytes(b"PAR0" + bytes(100))


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def no_abstract(path: Path) -> None:
    pl.read_parquet(path, columns=["id", "title"]).write_parquet(path)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def bomb(path: Path) -> None:
    pl.DataFrame({"id": ["a"], "title": [None], "abstract": ["a" * 80_000_000]}).write_parquet(path)


@pytest.mark.parametrize("spoil", [no_parquet, cut_off, no_abstract, empty, bomb])
def test_whatever_is_no_input_can_be_left_out(skip: Skip, folder: Path, spoil: Callable[[Path], None]) -> None:
    spoil(folder / "b.parquet")
    summary = skip()
    assert [Path(file.path).name for file in summary.skipped] == ["b.parquet"]
    assert summary.counts.rows == 200


def test_sound_files_are_all_read(skip: Skip, folder: Path, papers: pl.DataFrame) -> None:
    write(papers.slice(100, 100), folder / "b.parquet")
    summary = skip()
    assert (summary.skipped, summary.counts.rows) == ((), 300)


def test_without_a_sound_file_there_is_no_input(skip: Skip, folder: Path, tmp_path: Path) -> None:
    for name in "ac":
        damage(folder / f"{name}.parquet")
    with pytest.raises(InputDataError, match=r"none of 3 files is sound; the first: .*a\.parquet, row group 4"):
        skip()
    for name in "ac":
        (folder / f"{name}.parquet").unlink()
    with pytest.raises(InputDataError, match=r"b\.parquet, row group 4"):
        skip()
    assert not (tmp_path / "labels.parquet").exists()


def test_a_file_that_is_not_there_is_no_damaged_one(score: Score, folder: Path, tmp_path: Path) -> None:
    args = ("-o", tmp_path / "labels.parquet", "--on-error", "skip-file")
    assert score(folder, tmp_path / "no.parquet", *args).code == 66


def test_a_damaged_file_does_not_become_the_output(score: Score, folder: Path) -> None:
    before = (folder / "b.parquet").read_bytes()
    assert score(folder, "-o", folder / "b.parquet", "--on-error", "skip-file").code == 73
    assert (folder / "b.parquet").read_bytes() == before


@pytest.mark.drawn(1)
@pytest.mark.parametrize("parts", [1, 4, 7])
def test_a_killed_run_goes_on_without_the_file(skip: Skip, tmp_path: Path, parts: int) -> None:
    skip()
    expected = pl.read_parquet(tmp_path / "labels.parquet")
    (tmp_path / "labels.parquet").unlink()

    def stop(progress: Progress) -> None:
        if progress.parts_done == parts:
            raise Interrupted(15)

    with pytest.raises(Interrupted):
        skip(stop)
    summary = skip()
    assert summary.resumed == sum([30, 30, 30, 10, 30, 30, 30, 10][:parts])
    assert summary.counts.scored == 200
    assert pl.read_parquet(tmp_path / "labels.parquet").equals(expected)
    assert leftovers(tmp_path / "labels.parquet") == []


def test_parts_of_a_file_that_is_damaged_since_are_not_taken(
    skip: Skip, folder: Path, papers: pl.DataFrame, tmp_path: Path
) -> None:
    """Neither its own, nor the others': the input is another one. Nothing of it is in the labels."""
    write(papers.slice(100, 100), folder / "b.parquet")

    def stop(progress: Progress) -> None:
        if progress.parts_done == 6:
            raise Interrupted(15)

    with pytest.raises(Interrupted):
        skip(stop)
    damage(folder / "b.parquet")
    summary = skip()
    assert (summary.resumed, summary.counts.rows, summary.counts.scored) == (0, 200, 200)
    assert pl.read_parquet(tmp_path / "labels.parquet")["id"].is_in(papers["id"][100:200].implode()).sum() == 0


def test_when_the_file_is_repaired_it_alone_is_scored(skip: Skip, folder: Path, papers: pl.DataFrame) -> None:
    skip()
    write(papers.slice(100, 100), folder / "b.parquet")
    counts = skip().counts
    assert (counts.rows, counts.reused, counts.scored) == (300, 200, 100)


def test_every_malformed_file_is_left_out(score: Score, malformed: Path, papers: pl.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "dump"
    shutil.copytree(malformed, folder)
    papers.head(10).write_parquet(folder / "a.parquet")
    papers.slice(10, 10).write_parquet(folder / "z.parquet")
    labels = tmp_path / "labels.parquet"
    outcome = score(folder, "-o", labels, "--on-error", "skip-file")
    assert outcome.code == 0
    assert pl.read_parquet(labels)["id"].to_list() == papers["id"][:20].to_list()
    provenance = read_provenance(labels)
    assert provenance is not None
    assert len(provenance["skipped_files"]) == len(list(malformed.glob("*.parquet"))) > 50
