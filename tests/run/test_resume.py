"""Only what changed, and only what was not finished, is scored."""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ro32.data.labels import read_provenance
from ro32.errors import InputDataError, Interrupted, TryAgainError
from ro32.model.classifier import Classifier
from ro32.run.job import Settings
from ro32.run.parts import RowCounts
from ro32.run.walk import Progress, Summary, score_file
from ro32.storage.lock import only_run
from tests.command_line import leftovers

Run = Callable[..., Summary]


@pytest.fixture
def run(tmp_path: Path, classifier: Classifier) -> Run:
    """Score frames into labels.parquet of one folder, 50 rows a part."""

    def call(frame: pl.DataFrame | None, **options: object) -> Summary:
        if frame is not None:
            frame.write_parquet(tmp_path / "papers.parquet")
        progress = options.pop("on_progress", lambda _: None)
        return score_file(
            [str(tmp_path / "papers.parquet")],
            tmp_path / "labels.parquet",
            classifier=classifier,
            settings=Settings(part_rows=50, **options),  # type: ignore[arg-type]
            on_progress=progress,  # type: ignore[arg-type]
        )

    return call


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return tmp_path / "labels.parquet"


def test_a_second_run_scores_nothing_and_writes_the_same(run: Run, papers: pl.DataFrame, labels: Path) -> None:
    first = run(papers)
    before = pl.read_parquet(labels)
    again = run(papers)
    assert (first.counts.scored, first.counts.reused) == (300, 0)
    assert (again.counts.scored, again.counts.reused, again.counts.tokens) == (0, 300, 0)
    assert pl.read_parquet(labels).equals(before)


def test_only_changed_texts_are_scored(run: Run, papers: pl.DataFrame, labels: Path) -> None:
    run(papers.head(200))
    new_ids = pl.col("id") + "v2"
    changed = (
        pl.when(pl.int_range(pl.len()) % 40 == 0).then(pl.col("abstract") + " Again.").otherwise(pl.col("abstract"))
    )
    frame = papers.with_columns(new_ids, changed.alias("abstract"))
    counts = run(frame).counts
    assert (counts.scored, counts.reused, counts.duplicates) == (100 + 5, 195, 0)
    reused = pl.read_parquet(labels)
    run(frame, no_reuse=True)
    assert pl.read_parquet(labels).equals(reused)


def test_equal_texts_are_scored_once(run: Run, papers: pl.DataFrame, labels: Path) -> None:
    frame = pl.concat([papers.head(60), papers.head(60)])
    counts = run(frame).counts
    assert (counts.scored, counts.duplicates) == (60, 60)
    found = pl.read_parquet(labels)
    assert found.head(60).equals(found.tail(60))


def test_other_labels_can_be_named(run: Run, papers: pl.DataFrame, labels: Path, tmp_path: Path) -> None:
    run(papers.head(100))
    labels.rename(tmp_path / "other.parquet")
    assert run(papers, reuse=tmp_path / "other.parquet").counts.reused == 100


def test_labels_of_another_model_are_scored_again(
    run: Run, papers: pl.DataFrame, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(papers)
    monkeypatch.setattr(classifier, "scoring_digest", "another")
    summary = run(papers)
    assert summary.counts.reused == 0
    assert summary.not_reused is not None
    assert "another model" in summary.not_reused


def flip_everywhere(path: Path, step: int) -> list[bytes]:
    data = path.read_bytes()
    return [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(0, len(data), step)]


def test_no_bit_flip_in_earlier_labels_goes_unnoticed(run: Run, papers: pl.DataFrame, labels: Path) -> None:
    frame = papers.head(50)
    run(frame)
    before = pl.read_parquet(labels)
    for damaged in flip_everywhere(labels, 499):
        labels.write_bytes(damaged)
        run(None)
        assert pl.read_parquet(labels).equals(before)


def test_labels_named_for_reuse_must_be_whole(run: Run, papers: pl.DataFrame, labels: Path, tmp_path: Path) -> None:
    run(papers)
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(labels.read_bytes()[:-100])
    with pytest.raises(InputDataError, match="cannot be reused"):
        run(papers, reuse=damaged)


def stop_after(parts: int) -> Callable[[Progress], None]:
    def on_progress(progress: Progress) -> None:
        if progress.parts_done >= parts:
            raise Interrupted(15)

    return on_progress


@pytest.mark.parametrize("parts", [1, 3, 5])
def test_a_killed_run_goes_on_where_it_was(run: Run, papers: pl.DataFrame, labels: Path, parts: int) -> None:
    run(papers)
    expected = pl.read_parquet(labels)
    labels.unlink()
    with pytest.raises(Interrupted):
        run(None, on_progress=stop_after(parts))
    assert not labels.exists()
    summary = run(None)
    assert summary.resumed == parts * 50
    assert summary.counts == RowCounts(
        rows=300, scored=300, positives=summary.counts.positives, tokens=summary.counts.tokens
    )
    assert pl.read_parquet(labels).equals(expected)
    assert leftovers(labels) == []


def test_a_damaged_part_is_scored_again(run: Run, papers: pl.DataFrame, labels: Path) -> None:
    run(papers)
    expected = pl.read_parquet(labels)
    labels.unlink()
    with pytest.raises(Interrupted):
        run(None, on_progress=stop_after(3))
    victim = sorted(labels.parent.glob(".labels.parquet.parts/*/*.parquet"))[1]
    victim.write_bytes(flip_everywhere(victim, victim.stat().st_size // 2)[1])
    assert run(None).resumed == 100
    assert pl.read_parquet(labels).equals(expected)


def test_a_copy_of_the_input_is_the_same_input(run: Run, papers: pl.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run(papers, on_progress=stop_after(3))
    shutil.copy2(tmp_path / "papers.parquet", tmp_path / "copy")
    (tmp_path / "copy").replace(tmp_path / "papers.parquet")
    assert run(None).resumed == 150


def test_other_content_of_the_same_size_and_time_is_another_input(
    run: Run, papers: pl.DataFrame, tmp_path: Path
) -> None:
    frame = papers.with_columns(abstract=pl.lit("One abstract for all"))
    with pytest.raises(Interrupted):
        run(frame, on_progress=stop_after(3))
    before = (tmp_path / "papers.parquet").stat()
    frame.with_columns(abstract=pl.lit("One abstract for ALL")).write_parquet(tmp_path / "papers.parquet")
    os.utime(tmp_path / "papers.parquet", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (tmp_path / "papers.parquet").stat().st_size == before.st_size
    assert run(None).resumed == 0


def rewrite(part: Path, counts: dict[str, object], table: pa.Table | None = None) -> None:
    """Put a part in the place of another, under the name that its content has."""
    table = pq.read_table(part) if table is None else table
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"ro32": json.dumps(counts)}), buffer)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    part.with_name(f"{part.name.partition('-')[0]}-{digest}.parquet").write_bytes(buffer.getvalue())
    part.unlink()


def test_parts_of_another_version_are_passed_over(run: Run, papers: pl.DataFrame, labels: Path) -> None:
    with pytest.raises(Interrupted):
        run(papers, on_progress=stop_after(5))
    first, second, third, fourth, _ = sorted(labels.parent.glob(".labels.parquet.parts/*/*.parquet"))
    counts = json.loads(pq.read_schema(first).metadata[b"ro32"])
    rewrite(first, {**counts, "translated": 3})
    rewrite(second, {"rows": 50})
    rewrite(third, counts, pq.read_table(third).drop_columns(["screened"]))
    rewrite(fourth, counts, pq.read_table(fourth).slice(1))
    assert run(None).resumed == 50
    assert pl.read_parquet(labels)["id"].equals(papers["id"])


def test_a_foreign_file_among_the_parts_is_no_bug_and_stays(run: Run, papers: pl.DataFrame, labels: Path) -> None:
    with pytest.raises(Interrupted):
        run(papers, on_progress=stop_after(3))
    (folder,) = labels.parent.glob(".labels.parquet.parts/*")
    foreign = [folder / "notes-1.parquet", folder.parent / "README", folder / f"00000004-{'0' * 64}.parquet"]
    for path in foreign[:2]:
        path.write_text("notes")
    os.mkfifo(foreign[2])
    assert run(None).resumed == 150
    assert foreign[2].is_fifo()
    assert all(path.read_text() == "notes" for path in foreign[:2])


def test_other_input_takes_no_parts(run: Run, papers: pl.DataFrame, labels: Path) -> None:
    with pytest.raises(Interrupted):
        run(papers, on_progress=stop_after(3))
    assert run(papers.reverse()).resumed == 0
    assert leftovers(labels) == []


def test_parts_that_hold_reused_outcomes_are_not_taken_for_fresh_ones(run: Run, papers: pl.DataFrame) -> None:
    run(papers)
    with pytest.raises(Interrupted):
        run(papers, on_progress=stop_after(3))
    summary = run(None, no_reuse=True)
    assert (summary.resumed, summary.counts.scored, summary.counts.reused) == (0, 300, 0)


def test_input_that_changes_meanwhile_publishes_nothing(
    run: Run, papers: pl.DataFrame, labels: Path, tmp_path: Path
) -> None:
    run(papers.head(10))
    before = labels.read_bytes()

    def touch(progress: Progress) -> None:
        if progress.parts_done == 2:
            os.utime(tmp_path / "papers.parquet", ns=(0, 0))

    with pytest.raises(TryAgainError, match="changed while it was read"):
        run(papers, on_progress=touch)
    assert labels.read_bytes() == before


def test_input_that_is_cut_off_meanwhile_changed_and_is_not_damaged(
    run: Run, papers: pl.DataFrame, labels: Path, tmp_path: Path
) -> None:
    def cut_off(progress: Progress) -> None:
        if progress.parts_done == 1:
            os.truncate(tmp_path / "papers.parquet", 20_000)

    with pytest.raises(TryAgainError, match="changed while it was read"):
        run(papers, on_progress=cut_off)
    with pytest.raises(InputDataError):
        run(None)
    assert not labels.exists()


def test_two_runs_for_one_target_exclude_each_other(run: Run, papers: pl.DataFrame, labels: Path) -> None:
    with only_run(labels), pytest.raises(TryAgainError, match=f"process {os.getpid()} on "):
        run(papers)
    assert run(papers).counts.rows == 300


def test_too_many_rows_without_text_publish_nothing(run: Run, papers: pl.DataFrame, labels: Path) -> None:
    blank = papers.with_columns(
        [
            pl.when(pl.int_range(pl.len()) < 4).then(None).otherwise(pl.col(name)).alias(name)
            for name in ("title", "abstract")
        ]
    )
    with pytest.raises(InputDataError, match=r"4 of 300 papers have no score \(4 empty_text\), more than 1\.00%"):
        run(blank)
    assert not labels.exists()
    assert run(blank, max_unscored=0.02).counts.unscored == {"empty_text": 4}


def test_as_many_rows_without_text_as_allowed_are_published(run: Run, papers: pl.DataFrame) -> None:
    blank = papers.head(100).with_columns(
        pl.when(pl.int_range(pl.len()) < 29).then(pl.lit("")).otherwise(pl.col(name)).alias(name)
        for name in ("title", "abstract")
    )
    assert run(blank, max_unscored=0.29).counts.unscored == {"empty_text": 29}


def test_the_footer_counts_where_rows_come_from(run: Run, papers: pl.DataFrame, labels: Path) -> None:
    run(papers.head(100))
    run(pl.concat([papers.head(150), papers.tail(100), papers.tail(100)]))
    provenance = read_provenance(labels)
    assert provenance is not None
    assert {name: provenance["rows"][name] for name in ("rows", "scored", "reused", "duplicates")} == {
        "rows": 350,
        "scored": 150,
        "reused": 100,
        "duplicates": 100,
    }


def test_files_whose_ids_do_not_go_together_are_named(tmp_path: Path, classifier: Classifier) -> None:
    ids = (pa.nulls(1), pa.array([1], pa.int32()), pa.array([1], pa.int64()), pa.array(["1"]))
    for number, column in enumerate(ids):
        text = pa.array(["a robot"])
        pq.write_table(pa.table({"id": column, "title": text, "abstract": text}), tmp_path / f"{number}.parquet")
    score_file(sorted(tmp_path.iterdir())[:3], tmp_path / "labels.parquet", classifier=classifier)
    with pytest.raises(InputDataError, match=r"int32 in .*/1\.parquet, string in .*/3\.parquet"):
        score_file(
            [tmp_path / f"{number}.parquet" for number in range(4)], tmp_path / "l.parquet", classifier=classifier
        )


def test_ids_of_several_dictionaries_are_compared_by_value(tmp_path: Path, classifier: Classifier) -> None:
    ids = pa.array([None, ""]).dictionary_encode()
    table = pa.table({"id": ids, "title": ["Legged robots", "Neutrinos"], "abstract": ["They walk.", "They do not."]})
    with pq.ParquetWriter(tmp_path / "papers.parquet", table.schema) as writer:
        for row in range(2):  # the dictionary of the first row group is empty
            writer.write_table(table.slice(row, 1))
    score_file(tmp_path / "papers.parquet", tmp_path / "labels.parquet", classifier=classifier)
    assert pl.read_parquet(tmp_path / "labels.parquet")["id"].cast(pl.String).to_list() == [None, ""]
