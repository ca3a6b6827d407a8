"""`ro32-eval` as a whole."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from shutil import copy, copytree

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ro32.cli import evaluate
from ro32.cli.evaluate import command
from tests.command_line import Invoke, Outcome, Score


def test_table_has_intervals_and_counts(invoke: Invoke, tiny_labels: Path, papers_path: Path) -> None:
    outcome = invoke(command, [papers_path, "--labels", tiny_labels])
    assert outcome.code == 0, outcome.stderr
    rows = {line[:18].strip(): line[18:].split() for line in outcome.stdout.splitlines()}
    assert len(rows["F1"]) == 3
    assert rows["papers scored"] == ["2,000"]
    counts = [int(rows[f"{kind}s"][0].replace(",", "")) for kind in ("true positive", "false negative")]
    assert sum(counts) == int(rows["listed in cs.RO"][0])
    assert outcome.stderr == ""


def test_json_and_table_tell_the_same(invoke: Invoke, tiny_labels: Path, papers_path: Path) -> None:
    found = json.loads(invoke(command, [papers_path, "--labels", tiny_labels, "--json"]).stdout)
    (model,) = found["models"]
    printed = invoke(command, [papers_path, "--labels", tiny_labels]).stdout
    for name in ("f1", "average_precision", "calibration_error"):
        assert f"{model[name]['value']:.4f} [{model[name]['low']:.4f}, {model[name]['high']:.4f}]" in printed


def test_labels_and_bundle_side_by_side_agree(
    invoke: Invoke, score: Score, papers: pl.DataFrame, tiny_bundle: Path, tmp_path: Path
) -> None:
    path, labels = tmp_path / "papers.parquet", tmp_path / "labels.parquet"
    papers.write_parquet(path)
    assert score(path, "-o", labels).code == 0
    outcome = invoke(command, [path, "--labels", labels, "--bundle", tiny_bundle, "--json", "-q"])
    assert outcome.code == 0, outcome.stderr
    found = json.loads(outcome.stdout)
    first, second = found["models"]
    own = ("name", "source", "disagreements")
    assert {key: value for key, value in first.items() if key not in own} == {
        key: value for key, value in second.items() if key not in own
    }
    assert (second["name"], second["source"]) == ("tiny", str(tiny_bundle))
    assert found["comparisons"][0]["flips"] == 0


def test_groups_are_printed_when_asked_for(invoke: Invoke, tiny_labels: Path, papers_path: Path) -> None:
    outcome = invoke(command, [papers_path, "--labels", tiny_labels, "--by", "year", "--by", "length"])
    assert "labels, by year" in outcome.stdout
    assert "labels, by length" in outcome.stdout
    assert "by category" not in outcome.stdout


def test_threshold_overrules_the_models_own(invoke: Invoke, tiny_labels: Path, papers_path: Path) -> None:
    arguments: list[str | Path] = [papers_path, "--labels", tiny_labels, "--json", "--examples", "0"]
    own, other = (
        json.loads(invoke(command, [*arguments, *more]).stdout)["models"][0] for more in ([], ["--threshold", "0.9"])
    )
    assert other["threshold"] == 0.9
    assert other["confusion"]["tp"] < own["confusion"]["tp"]
    assert other["average_precision"] == own["average_precision"]
    assert other["disagreements"]["shown_missed"] == []


def test_page_is_written_whole_beside_the_table(
    invoke: Invoke, tiny_labels: Path, papers_path: Path, tmp_path: Path
) -> None:
    target = tmp_path / "report.html"
    target.write_text("an older report")
    outcome = invoke(command, [papers_path, "--labels", tiny_labels, "--html", target])
    assert outcome.code == 0, outcome.stderr
    assert "average precision" in outcome.stdout
    text = target.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert text.endswith("</html>\n")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("none/report.html", "no folder"),
        (".", "is a folder"),
        ("papers.parquet", "is the input file"),
        ("link.html", "is the input file"),
        ("labels.parquet", "is the input file"),
    ],
)
def test_a_page_that_cannot_be_is_refused_before_anything_is_scored(
    invoke: Invoke, papers: pl.DataFrame, tiny_labels: Path, tmp_path: Path, target: str, complaint: str
) -> None:
    papers.write_parquet(tmp_path / "papers.parquet")
    copy(tiny_labels, tmp_path / "labels.parquet")
    (tmp_path / "link.html").symlink_to(tmp_path / "papers.parquet")
    before = (tmp_path / "papers.parquet").read_bytes(), (tmp_path / "labels.parquet").read_bytes()
    outcome = invoke(
        command, [tmp_path / "papers.parquet", "--labels", tmp_path / "labels.parquet", "--html", tmp_path / target]
    )
    assert outcome.code == 73
    assert complaint in outcome.stderr
    assert ((tmp_path / "papers.parquet").read_bytes(), (tmp_path / "labels.parquet").read_bytes()) == before


def test_a_failing_disk_leaves_the_older_page(
    invoke: Invoke, tiny_labels: Path, papers_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.html"
    target.write_text("an older report")

    def fail(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    outcome = invoke(command, [papers_path, "--labels", tiny_labels, "--html", target])
    assert outcome.code == 74
    assert "No space left" in outcome.stderr
    assert target.read_text() == "an older report"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_folder_whose_name_is_no_utf_8_has_a_page_too(
    invoke: Invoke, tiny_bundle: Path, papers: pl.DataFrame, tmp_path: Path
) -> None:
    odd = copytree(tiny_bundle, Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")))
    listed = pl.col("categories").str.contains("cs.RO", literal=True)
    papers.filter(listed).head(5).write_parquet(tmp_path / "papers.parquet")
    outcome = invoke(
        command, [tmp_path / "papers.parquet", "--bundle", odd, "--quiet", "--html", tmp_path / "report.html"]
    )
    assert outcome.code == 0, outcome.stderr
    assert "\\udcff" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_unscored_rows_are_counted_apart(invoke: Invoke, score: Score, papers: pl.DataFrame, tmp_path: Path) -> None:
    path, labels = tmp_path / "papers.parquet", tmp_path / "labels.parquet"
    holes = pl.int_range(pl.len()) % 10 == 0
    blank = [pl.when(holes).then(None).otherwise(pl.col(name)).alias(name) for name in ("title", "abstract")]
    papers.with_columns(blank).write_parquet(path)
    assert score(path, "-o", labels, "--max-unscored", "0.1").code == 0
    (model,) = json.loads(invoke(command, [path, "--labels", labels, "--json"]).stdout)["models"]
    assert (model["papers"], model["unscored"]) == (270, 30)


def test_columns_can_be_renamed(invoke: Invoke, papers: pl.DataFrame, tiny_bundle: Path, tmp_path: Path) -> None:
    plain, renamed = tmp_path / "plain.parquet", tmp_path / "renamed.parquet"
    few = pl.concat([papers.head(30), papers.filter(pl.col("categories").str.contains("cs.RO", literal=True)).head(5)])
    few.write_parquet(plain)
    names = {name: name.upper() for name in ("id", "title", "abstract", "categories")}
    few.rename(names).write_parquet(renamed)
    options = [word for name, other in names.items() for word in (f"--{name}-column", other)]
    first, second = (
        json.loads(invoke(command, [path, "--bundle", tiny_bundle, "--json", "-q", *more]).stdout)["models"]
        for path, more in ((plain, []), (renamed, options))
    )
    assert first == second


@pytest.mark.parametrize(
    "footer",
    [
        *(None, "{}", '{"threshold": "high"}', '{"threshold": null}', "damaged", "[]", '{"threshold": "nan"}'),
        *('{"threshold": 0.5, "positive_label": ["cs.RO"]}', '{"threshold": 0.5, "bundle_digest": {}}'),
    ],
)
def test_a_file_that_is_no_labels_file_is_refused(
    invoke: Invoke, papers_path: Path, tmp_path: Path, footer: str | None
) -> None:
    table = pa.table({"id": ["a"], "score": [0.5]})
    pq.write_table(table.replace_schema_metadata({"ro32": footer} if footer else {}), tmp_path / "labels.parquet")
    outcome = invoke(command, [papers_path, "--labels", tmp_path / "labels.parquet"])
    assert outcome.code == 65
    assert "not a labels file" in outcome.stderr


def test_labels_without_ids_are_refused(invoke: Invoke, papers_path: Path, tmp_path: Path) -> None:
    table = pa.table({"id": [["a"]], "score": [0.5]})
    pq.write_table(table.replace_schema_metadata({"ro32": '{"threshold": 0.5}'}), tmp_path / "labels.parquet")
    outcome = invoke(command, [papers_path, "--labels", tmp_path / "labels.parquet"])
    assert outcome.code == 65
    assert "expected strings or integers in column 'id', found list" in outcome.stderr


@pytest.mark.parametrize("change", [pl.DataFrame.reverse, lambda frame: frame.head(20), None])
def test_papers_that_change_between_two_readings_are_not_mixed(
    invoke: Invoke,
    few: Path,
    tiny_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[pl.DataFrame], pl.DataFrame] | None,
) -> None:
    """Scores of a reversed dump would be compared with the categories of other papers."""

    def replace_papers(*_args: object) -> None:
        few.unlink()
        if change is not None:
            change(papers).write_parquet(few)

    papers = pl.read_parquet(few)
    monkeypatch.setattr(evaluate, "check_listed", replace_papers)
    outcome = invoke(command, [few, "--bundle", tiny_bundle, "-q", "--json"])
    assert (outcome.code, outcome.stdout) == (75, "")
    assert "changed while it was read" in outcome.stderr


def test_a_file_that_joins_a_folder_meanwhile_is_left_out(
    invoke: Invoke, few: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    papers = pl.read_parquet(few).height
    monkeypatch.setattr(evaluate, "check_listed", lambda *_: copy(few, few.with_name("a.parquet")))
    outcome = invoke(command, [few.parent, "--bundle", tiny_bundle, "-q", "--json"])
    assert outcome.code == 0, outcome.stderr
    found = json.loads(outcome.stdout)
    assert (found["papers"], found["inputs"]) == (papers, [str(few.parent)])


def test_names_of_files_cannot_control_a_terminal(invoke: Invoke, few: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "\x1b[31m.data").write_bytes(few.read_bytes())
    outcome = invoke(command, [tmp_path, "--bundle", tiny_bundle, "-q"])
    assert outcome.code == 0
    assert outcome.stderr.startswith("ro32-eval: warning: 1 file below ")
    assert "\\x1b[31m.data" in outcome.stderr


def test_any_number_of_categories_is_read(invoke: Invoke, score: Score, tmp_path: Path) -> None:
    """More than an int16 counts: what a column of other things holds looks like as many categories."""
    papers = pl.DataFrame({"id": pl.int_range(40_000, eager=True), "title": "robot", "abstract": ""})
    papers = papers.with_columns(categories=pl.format("c{} cs.RO", "id"))
    papers.write_parquet(tmp_path / "papers.parquet")
    assert score(tmp_path / "papers.parquet", "-o", tmp_path / "labels.parquet").code == 0
    outcome = invoke(command, [tmp_path / "papers.parquet", "--labels", tmp_path / "labels.parquet", "--category", "x"])
    assert outcome.code == 65
    assert "no paper is listed in x" in outcome.stderr


def test_one_column_may_be_two_things(invoke: Invoke, few: Path, tiny_bundle: Path) -> None:
    outcome = invoke(command, [few, "--bundle", tiny_bundle, "-q", "--json", "--title-column", "categories"])
    assert outcome.code == 0, outcome.stderr


def test_a_paper_without_text_is_explained_by_nothing(
    invoke: Invoke, score: Score, few: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The labels are of texts in columns of other names."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    copytree(tiny_bundle, tmp_path / "ro32" / "bundles" / "mine")
    labels, page = tmp_path / "labels.parquet", tmp_path / "page.html"
    pl.read_parquet(few).rename({"title": "t", "abstract": "a"}).write_parquet(few)
    assert score(few, "-o", labels, "--title-column", "t", "--abstract-column", "a").code == 0
    options: list[str | Path] = ["--threshold", "0.3", "--explain", "1", "--json", "--html", page]
    outcome = invoke(command, [few, "--labels", labels, *options])
    assert set(explained_in(outcome)) == {"labels"}
    shown = json.loads(outcome.stdout)["models"][0]["disagreements"]["shown_missed"][0]
    assert shown["explanations"]["labels"] == {"score": None, "words": []}
    assert "Scored in full: no score" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(("option", "code"), [("--labels", 66), ("--bundle", 78)])
def test_what_is_missing_is_reported_before_papers_are_read(
    invoke: Invoke, papers_path: Path, tmp_path: Path, option: str, code: int
) -> None:
    outcome = invoke(command, [papers_path, "--category", "cs.XX", option, tmp_path / "lost"])
    assert outcome.code == code
    assert "lost" in outcome.stderr
    assert "cs.XX" not in outcome.stderr


def test_categories_of_no_paper_is_no_crash(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    schema = dict.fromkeys(("id", "title", "abstract", "categories"), pl.String)
    pl.DataFrame(schema=schema).write_parquet(tmp_path / "papers.parquet")
    outcome = invoke(command, [tmp_path / "papers.parquet", "--bundle", tiny_bundle, "-q"])
    assert outcome.code == 65
    assert "no paper is listed in cs.RO" in outcome.stderr


@pytest.mark.parametrize("value", ["0", "1.5", "x"])
def test_a_threshold_that_is_none_is_wrong_usage(invoke: Invoke, papers_path: Path, value: str) -> None:
    assert invoke(command, [papers_path, "--threshold", value]).code == 2


@pytest.fixture
def few(papers: pl.DataFrame, tmp_path: Path) -> Path:
    """Thirty papers, half of them listed."""
    listed = pl.col("categories").str.split(" ").list.contains("cs.RO")
    pl.concat([papers.filter(listed).head(15), papers.filter(~listed).head(15)]).write_parquet(tmp_path / "few.parquet")
    return tmp_path / "few.parquet"


def explained_in(outcome: Outcome) -> list[str]:
    """Return the names of the models whose scores the JSON explains."""
    assert outcome.code == 0, outcome.stderr
    models = json.loads(outcome.stdout)["models"]
    shown = [model["disagreements"]["shown_candidates"] + model["disagreements"]["shown_missed"] for model in models]
    return [name for papers in shown for paper in papers for name in paper.get("explanations", {})]


def test_disagreements_of_a_bundle_are_explained(invoke: Invoke, few: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    options = ["--threshold", "0.3", "--explain", "1", "--json", "-q"]
    names = explained_in(invoke(command, [few, "--bundle", tiny_bundle, "--html", page, *options]))
    assert set(names) == {"tiny"}
    assert page.read_text(encoding="utf-8").count('class="words"') == len(names)


def test_disagreements_of_labels_are_explained_where_the_bundle_is_installed(
    invoke: Invoke, score: Score, few: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = tmp_path / "labels.parquet"
    assert score(few, "-o", labels).code == 0
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    arguments: list[str | Path] = [few, "--labels", labels, "--threshold", "0.3", "--explain", "1", "--json"]
    refused = invoke(command, arguments)
    assert (refused.code, refused.stdout) == (2, "")
    assert "install it, or name one with --bundle" in refused.stderr
    copytree(tiny_bundle, tmp_path / "ro32" / "bundles" / "mine")
    assert set(explained_in(invoke(command, arguments))) == {"labels"}


def test_labels_of_full_scoring_are_explained_by_full_scoring(
    invoke: Invoke, score: Score, few: Path, cascade_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    copytree(cascade_bundle, tmp_path / "ro32" / "bundles" / "mine")
    labels = tmp_path / "labels.parquet"
    assert score(few, "-o", labels, "--full", bundle=cascade_bundle).code == 0
    found = invoke(command, [few, "--labels", labels, "--explain", "2", "--json"])
    assert explained_in(found)
    (model,) = json.loads(found.stdout)["models"]
    for paper in model["disagreements"]["shown_candidates"] + model["disagreements"]["shown_missed"]:
        for explanation in paper.get("explanations", {}).values():
            assert explanation["score"] == paper["scores"]["labels"]


def test_the_table_explains_nothing(invoke: Invoke, few: Path, tiny_bundle: Path) -> None:
    outcome = invoke(command, [few, "--bundle", tiny_bundle, "--explain", "1"])
    assert outcome.code == 2
    assert "needs --html FILE or --json" in outcome.stderr


def test_a_category_that_no_paper_has_is_asked_after(invoke: Invoke, tiny_labels: Path, papers_path: Path) -> None:
    outcome = invoke(command, [papers_path, "--labels", tiny_labels, "--category", "cs.R0"])
    assert outcome.code == 65
    assert "no paper is listed in cs.R0; did you mean 'cs.RO'?" in outcome.stderr
    assert "name another category with --category" in outcome.stderr


@pytest.mark.parametrize("scores", [["a", "b"], [float("inf"), 0.5]])
def test_labels_with_other_than_scores_are_refused(
    invoke: Invoke, score: Score, papers: pl.DataFrame, tmp_path: Path, scores: list[object]
) -> None:
    path, labels = tmp_path / "papers.parquet", tmp_path / "labels.parquet"
    papers.head(2).with_columns(categories=pl.lit("cs.RO")).write_parquet(path)
    assert score(path, "-o", labels).code == 0
    table, footer = pq.read_table(labels), pq.read_metadata(labels).metadata
    at = table.schema.get_field_index("score")
    pq.write_table(table.set_column(at, "score", pa.array(scores)).replace_schema_metadata(footer), labels)
    outcome = invoke(command, [path, "--labels", labels])
    assert outcome.code == 65
    assert "score these papers again" in outcome.stderr
