"""A folder as output: a labels file for each input file, replaced only where something changed, and a manifest last."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from ro32.data.labels import read_provenance
from ro32.errors import InputDataError, Interrupted, OutputError, TryAgainError, UsageError
from ro32.folder import manifest
from ro32.folder.jobs import labels_names
from ro32.folder.update import score_folder
from ro32.model.classifier import Classifier
from ro32.model.operating_point import OperatingPoint
from ro32.run.commit import commit
from ro32.run.job import OnError, Settings
from ro32.run.journal import Journal
from ro32.run.walk import Progress, Summary, score_file
from ro32.storage.folders import LocalFolder
from ro32.storage.local_parts import LocalParts
from ro32.storage.lock import only_run
from tests.command_line import Score, leftovers
from tests.docs.tables import check_documented

NAMES = ["2023/a.parquet", "2024/a.parquet", "2024/b.parquet"]
Run = Callable[..., Summary]


@pytest.fixture
def dump(papers: pl.DataFrame, tmp_path: Path) -> Path:
    """A folder of three files with 100 papers each, two of them of one name."""
    for number, name in enumerate(NAMES):
        path = tmp_path / "dump" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        papers.slice(100 * number, 100).write_parquet(path)
    return tmp_path / "dump"


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return tmp_path / "labels"


@pytest.fixture
def run(dump: Path, labels: Path, classifier: Classifier) -> Run:
    """Label the dump, 30 rows a part."""

    def call(**options: Any) -> Summary:
        own: dict[str, Any] = {"classifier": classifier}
        own |= {name: options.pop(name) for name in ("prune", "on_progress", "classifier") if name in options}
        return score_folder(dump, labels, settings=Settings(part_rows=30, **options), **own)

    return call


def times(labels: Path) -> dict[str, int]:
    return {name: (labels / name).stat().st_mtime_ns for name in NAMES if (labels / name).exists()}


def stop_after(parts: int) -> Callable[[Progress], None]:
    def on_progress(progress: Progress) -> None:
        if progress.parts_done >= parts:
            raise Interrupted(15)

    return on_progress


def test_each_file_has_the_labels_of_a_run_of_its_own(
    run: Run, dump: Path, labels: Path, classifier: Classifier, tmp_path: Path
) -> None:
    summary = run()
    assert summary.counts.rows == summary.counts.scored == 300
    assert summary.folder is not None
    assert (summary.folder.files, summary.folder.replaced, summary.folder.unchanged) == (3, 3, 0)
    for name in NAMES:
        score_file(dump / name, tmp_path / "alone.parquet", classifier=classifier)
        assert pl.read_parquet(labels / name).equals(pl.read_parquet(tmp_path / "alone.parquet"))
        assert leftovers(labels / name) == []


def test_the_manifest_lists_files_rows_and_digests(run: Run, labels: Path) -> None:
    run()
    manifest = json.loads((labels / "_manifest.json").read_text())
    assert (manifest["manifest_version"], manifest["rows"], manifest["positive_label"]) == (1, 300, "cs.RO")
    assert [file["name"] for file in manifest["files"]] == NAMES
    for file in manifest["files"]:
        content = (labels / file["name"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert (file["rows"], file["size_bytes"]) == (100, len(content))


def test_readers_of_folders_see_labels_alone(run: Run, labels: Path) -> None:
    run()
    assert pl.scan_parquet(labels / "**" / "*.parquet").collect().height == 300


def test_only_files_that_changed_are_replaced(run: Run, dump: Path, labels: Path, papers: pl.DataFrame) -> None:
    run()
    before = times(labels)
    papers.slice(100, 120).write_parquet(dump / NAMES[1])
    summary = run()
    assert (summary.counts.scored, summary.counts.reused, summary.counts.rows) == (20, 300, 320)
    assert summary.folder is not None
    assert (summary.folder.replaced, summary.folder.unchanged) == (1, 2)
    after = times(labels)
    assert {name for name in NAMES if after[name] != before[name]} == {NAMES[1]}
    assert pl.read_parquet(labels / NAMES[1]).height == 120
    assert [entry.rows for entry in manifest.read_entries(LocalFolder(labels)).values()] == [100, 120, 100]


def test_counts_and_shares_are_of_all_files(run: Run, labels: Path, dump: Path, papers: pl.DataFrame) -> None:
    first = run()
    papers.slice(0, 90).write_parquet(dump / NAMES[0])
    again = run()
    frame = pl.concat([pl.read_parquet(labels / name) for name in NAMES])
    assert first.counts.positives >= again.counts.positives == (frame["label"] == "cs.RO").sum()
    assert again.counts.rows == 290


@pytest.mark.parametrize("change", ["threshold", "no_reuse"])
def test_another_threshold_or_no_reuse_replaces_all(run: Run, labels: Path, tiny_bundle: Path, change: str) -> None:
    run()
    before = times(labels)
    if change == "threshold":
        summary = run(classifier=Classifier.load(tiny_bundle, point=OperatingPoint(threshold=0.9)))
        assert summary.counts.reused == 300
    else:
        summary = run(no_reuse=True)
        assert summary.counts.scored == 300
    assert all(after != before[name] for name, after in times(labels).items())


def test_damaged_labels_are_replaced(run: Run, labels: Path) -> None:
    run()
    good = pl.read_parquet(labels / NAMES[2])
    data = bytearray((labels / NAMES[2]).read_bytes())
    data[100] ^= 1  # of the first page
    (labels / NAMES[2]).write_bytes(data)
    summary = run()
    assert summary.folder is not None
    assert (summary.folder.replaced, summary.folder.unchanged) == (1, 2)
    assert pl.read_parquet(labels / NAMES[2]).equals(good)


@pytest.mark.parametrize("damage", [None, 7, 900])
def test_labels_that_no_manifest_vouches_for_are_read(run: Run, labels: Path, damage: int | None) -> None:
    """As after a run that was killed between its last labels file and its manifest."""
    run()
    (labels / manifest.NAME).unlink()
    if damage is not None:
        data = bytearray((labels / NAMES[0]).read_bytes())
        data[damage] ^= 1
        (labels / NAMES[0]).write_bytes(data)
    summary = run()
    assert summary.folder is not None
    assert summary.folder.replaced == (0 if damage is None else 1)
    assert len(manifest.read_entries(LocalFolder(labels))) == 3


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rows", "{}"),
        ("rows", '{"rows": "many"}'),
        ("rows", '{"rows": 1e999, "positives": 1, "unscored": {}}'),
        ("operating_point", "[1]"),
        ("settings", "[1]"),
    ],
)
def test_labels_with_nonsense_in_their_footer_are_replaced(run: Run, labels: Path, key: str, value: str) -> None:
    run()
    table = pq.read_table(labels / NAMES[0])
    footer = read_provenance(labels / NAMES[0])
    assert footer is not None
    text = json.dumps(footer | {key: "nonsense"}).replace('"nonsense"', value)
    pq.write_table(table.replace_schema_metadata({"ro32": text}), labels / NAMES[0])
    run(max_drift=0)
    found = read_provenance(labels / NAMES[0])
    assert found is not None
    assert found[key].keys() == footer[key].keys()
    assert pq.read_table(labels / NAMES[0]).equals(table)


def test_a_damaged_part_may_stand_beside_the_one_done_in_its_place(run: Run, labels: Path) -> None:
    with pytest.raises(Interrupted):
        run(on_progress=stop_after(2))
    [parts] = (labels / "2023" / ".a.parquet.parts").iterdir()
    for number in range(20):  # the file system lists one of them behind the sound one
        (parts / f"00000000-{number:064x}.parquet").write_bytes(b"damaged")
    summary = run()
    assert summary.resumed == 60
    assert times(labels).keys() == set(NAMES)
    assert leftovers(labels / NAMES[0]) == []


def test_parts_of_labels_that_stand_are_removed(run: Run, labels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a run that was killed between new labels and the removal of their parts."""

    def killed(_: LocalParts) -> None:
        raise Interrupted(15)

    with monkeypatch.context() as patch:
        patch.setattr(LocalParts, "clear", killed)
        with pytest.raises(Interrupted):
            run()
    assert leftovers(labels / NAMES[0])
    summary = run()
    assert summary.folder is not None
    assert (summary.folder.unchanged, summary.folder.replaced) == (1, 2)
    assert [left for name in NAMES for left in leftovers(labels / name)] == []


@pytest.mark.drawn(2)
@pytest.mark.parametrize("parts", [0, 2, 5, 12])
def test_a_killed_run_goes_on_where_it_was(run: Run, labels: Path, parts: int) -> None:
    run()
    expected = [pl.read_parquet(labels / name) for name in NAMES]
    for name in (*NAMES, manifest.NAME):
        (labels / name).unlink()
    with pytest.raises(Interrupted):
        run(on_progress=stop_after(parts))
    assert not times(labels)
    summary = run()
    rows = [30, 30, 30, 10] * 3
    assert summary.resumed == sum(rows[:parts])
    assert summary.counts.scored == 300
    assert all(pl.read_parquet(labels / name).equals(frame) for name, frame in zip(NAMES, expected, strict=True))


def test_a_run_that_is_killed_while_it_publishes_goes_on(
    run: Run, labels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[Path] = []

    def stops(job: Any, *args: Any, **kwargs: Any) -> None:
        if len(published) == 2:
            raise Interrupted(15)
        commit(job, *args, **kwargs)
        published.append(job.target)

    monkeypatch.setattr("ro32.folder.update.commit", stops)
    with pytest.raises(Interrupted):
        run()
    assert not (labels / manifest.NAME).exists()
    before = times(labels)
    assert list(before) == NAMES[:2]
    monkeypatch.undo()
    summary = run()
    assert summary.folder is not None
    assert (summary.folder.unchanged, summary.folder.replaced, summary.resumed) == (2, 1, 100)
    assert {name: time for name, time in times(labels).items() if name in before} == before


def test_labels_without_input_go_only_when_asked(run: Run, dump: Path, labels: Path, papers: pl.DataFrame) -> None:
    run()
    (dump / NAMES[0]).unlink()
    papers.write_parquet(labels / "not-ours.parquet")
    (labels / "notes.txt").write_text("mine")
    summary = run()
    assert summary.folder is not None
    assert (summary.folder.gone, summary.folder.removed) == (1, 0)
    assert (labels / NAMES[0]).exists()
    assert list(manifest.read_entries(LocalFolder(labels))) == NAMES[1:]
    pruned = run(prune=True)
    assert pruned.folder is not None
    assert (pruned.folder.gone, pruned.folder.removed, pruned.folder.unchanged) == (0, 1, 2)
    assert not (labels / NAMES[0]).exists()
    assert (labels / "not-ours.parquet").exists()
    assert (labels / "notes.txt").exists()


def test_labels_stay_whose_input_cannot_be_listed(
    classifier: Classifier, papers: pl.DataFrame, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump, journal, scandir = tmp_path / "years", Journal(), os.scandir
    for year in ("2023", "2024"):
        (dump / year).mkdir(parents=True)
        papers.head(5).write_parquet(dump / year / f"{year}.parquet")
    score_folder(f"{dump}/*/*.parquet", labels, classifier=classifier)

    def refuse(folder: str) -> object:
        if str(folder).rstrip("/") == str(dump / "2023"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    score_folder(f"{dump}/*/*.parquet", labels, prune=True, classifier=classifier, journal=journal)
    assert [warned.kind for warned in journal.warnings] == ["not_listed", "gone"]
    assert (labels / "2023.parquet").exists()


def test_labels_of_an_input_that_is_left_out_stay(run: Run, dump: Path, labels: Path) -> None:
    run()
    (dump / NAMES[0]).write_bytes((dump / NAMES[0]).read_bytes()[:-50])
    with pytest.raises(InputDataError, match="cut off"):
        run(prune=True)
    summary = run(prune=True, on_error=OnError.SKIP_FILE)
    assert len(summary.skipped) == 1
    assert times(labels).keys() == set(NAMES)
    assert list(manifest.read_entries(LocalFolder(labels))) == NAMES[1:]


def test_nothing_is_published_when_too_many_of_all_rows_have_no_text(
    run: Run, dump: Path, labels: Path, papers: pl.DataFrame
) -> None:
    blank = papers.head(2).with_columns(title=pl.lit(""), abstract=pl.lit(""))
    blank.write_parquet(dump / NAMES[0])
    assert run().counts.unscored == {"empty_text": 2}  # 2 of 202: not even 1 %
    before = (labels / manifest.NAME).read_bytes()
    papers.head(3).with_columns(title=pl.lit(""), abstract=pl.lit("")).write_parquet(dump / NAMES[0])
    with pytest.raises(InputDataError, match=r"3 of 203 papers have no score"):
        run()
    assert (labels / manifest.NAME).read_bytes() == before
    assert pl.read_parquet(labels / NAMES[0]).height == 2


def test_one_warning_tells_a_drift_of_all_files(score: Score, dump: Path, labels: Path, papers: pl.DataFrame) -> None:
    assert score(dump, "-o", f"{labels}/").code == 0
    threshold = ("--threshold", "0.999999")
    assert "moved by" not in score(dump, "-o", f"{labels}/", *threshold).stderr  # somebody chose it
    frame = papers.with_columns(pl.lit("Dark matter").alias("title"), pl.col("id").alias("abstract"))
    for number, name in enumerate(NAMES):
        frame.slice(100 * number, 100).write_parquet(dump / name)
    stderr = score(dump, "-o", f"{labels}/", *threshold, "--max-drift", "0").stderr
    assert stderr.count("moved by") <= 1


def test_input_that_changes_meanwhile_publishes_nothing(run: Run, dump: Path, labels: Path) -> None:
    def touch(progress: Progress) -> None:
        if progress.parts_done == 6:
            os.utime(dump / NAMES[0], ns=(0, 0))

    with pytest.raises(TryAgainError, match="changed while it was read"):
        run(on_progress=touch)
    assert not times(labels)


def test_two_runs_for_one_folder_exclude_each_other(run: Run, labels: Path) -> None:
    labels.mkdir()
    with only_run(labels / manifest.NAME), pytest.raises(TryAgainError, match=f"process {os.getpid()} on "):
        run()


def test_a_folder_that_holds_its_input_or_lies_in_it_is_refused(dump: Path, classifier: Classifier) -> None:
    for folder in (dump, dump / "labels", dump.parent):
        with pytest.raises(OutputError, match="lie in each other"):
            score_folder(dump, folder, classifier=classifier)
    assert sorted(path.name for path in dump.iterdir()) == ["2023", "2024"]


def test_a_folder_whose_labels_a_pattern_would_find_is_refused(dump: Path, classifier: Classifier) -> None:
    for pattern in ("*/b.parquet", "**/[b].parquet", "../*/*/b.parquet"):
        with pytest.raises(OutputError, match="lie in each other"):
            score_folder(f"{dump}/{pattern}", dump / "labels", classifier=classifier)
    score_folder(f"{dump}/2024/*.parquet", dump / "labels", classifier=classifier)
    score_folder(f"{dump}/2024/*.parquet", dump / "labels", classifier=classifier)


def test_a_folder_that_cannot_be_is_refused(dump: Path, classifier: Classifier, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file"):
        score_folder(dump, tmp_path / "file", classifier=classifier)
    with pytest.raises(OutputError, match="no folder"):
        score_folder(dump, tmp_path / "no" / "labels", classifier=classifier)


def test_labels_whose_path_is_too_long_are_refused(
    dump: Path, classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    deep, out = (Path(first, *[first * 200] * times) for first, times in (("d", 18), ("o", 3)))
    deep.mkdir(parents=True)
    shutil.copy(dump / NAMES[0], deep)
    out.mkdir(parents=True)
    with pytest.raises(OutputError, match="File name too long"):
        score_folder("d", out, classifier=classifier)


def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "y").mkdir()
    monkeypatch.chdir(tmp_path)
    files = [Path("x/b.parquet"), Path("y/a.csv"), Path("y/z/a.parquet")]
    assert list(labels_names(["y", "x/b.parquet"], files).values()) == [
        "b.parquet",
        "a.csv.parquet",
        "z/a.parquet",
    ]
    with pytest.raises(UsageError, match=r"x/a\.parquet and y/a\.parquet would both have the labels a\.parquet"):
        labels_names(["*/a.parquet"], [Path("x/a.parquet"), Path("y/a.parquet")])


def test_the_command_tells_what_became_of_the_files(score: Score, dump: Path, labels: Path, tmp_path: Path) -> None:
    report = ("--report", tmp_path / "run.json")
    status = json.loads(score(dump, "-o", f"{labels}/", "--status", "--json").stdout)
    check_documented(status, "status")
    assert (status["to_score"], status["unchanged_files"], status["target"]) == (300, 0, str(labels))
    assert not labels.exists()
    done = score(dump, "-o", f"{labels}/", *report)
    assert done.code == 0, done.stderr
    assert f"{labels}/: 300 papers (300 scored)" in done.stderr
    assert "3 files (3 new)" in done.stderr
    found = json.loads((tmp_path / "run.json").read_text())
    check_documented(found, "report")
    assert found["folder"] == {"files": 3, "unchanged": 0, "replaced": 3, "removed": 0, "gone": 0}
    assert found["labels"]["run_id"] == found["run_id"]
    (dump / NAMES[0]).unlink()
    status = json.loads(score(dump, "-o", f"{labels}/", "--status", "--json").stdout)
    assert (status["to_score"], status["reused"], status["unchanged_files"], status["files"]) == (0, 200, 2, 2)
    again = score(dump, "-o", f"{labels}/", *report)
    assert "2 files (2 unchanged, 1 without input)" in again.stderr
    assert "1 labels file has no input file: 2023/a.parquet; --prune removes them" in again.stderr
    assert "2 files (2 unchanged, 1 removed)" in score(dump, "-o", f"{labels}/", "--prune").stderr


def test_status_predicts_what_a_killed_run_left(run: Run, score: Score, dump: Path, labels: Path) -> None:
    with pytest.raises(Interrupted):
        run(on_progress=stop_after(5))
    status = json.loads(score(dump, "-o", f"{labels}/", "--status", "--json", "--part-rows", "30").stdout)
    assert (status["finished_parts"], status["finished"], status["to_score"]) == (5, 130, 170)


def test_what_does_not_go_with_a_folder(score: Score, dump: Path, labels: Path) -> None:
    assert score("-", "-o", f"{labels}/").code == 2
    assert score(dump, "-o", labels, "--prune").code == 2
    assert score(dump, "-o", "/").code == 73
    labels.mkdir()
    refused = score(dump, "-o", labels)
    assert refused.code == 73
    assert f"or {labels}/ for a labels file per input file" in refused.stderr


def test_labels_named_for_reuse_serve_all_files(
    run: Run, dump: Path, classifier: Classifier, tmp_path: Path, labels: Path
) -> None:
    score_file(dump, tmp_path / "one.parquet", classifier=classifier)
    summary = run(reuse=tmp_path / "one.parquet")
    assert (summary.counts.reused, summary.counts.scored) == (300, 0)
    assert read_provenance(labels / NAMES[0])["rows"]["reused"] == 100  # type: ignore[index]
