"""A bundle with views: published whole, scored by the formula that its manifest states, and refused when it is not."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from huggingface_hub import ModelCard

from export.attach import add_views
from export.measure import read_scores, write_scores
from export.papers import LabelledPapers, read_papers
from export.views import command as views_command
from ro32.errors import BundleError, InputDataError, InputMissingError, OutputError
from ro32.model.bundle import Bundle
from ro32.model.classifier import Classifier
from ro32.model.linear_view import LinearModel
from ro32.model.ngrams import HASH_BITS
from ro32.model.views import log_odds
from ro32.refresh.combine import ViewScores
from tests.command_line import Invoke, Outcome


@pytest.fixture(scope="module")
def labelled(papers_path: Path) -> LabelledPapers:
    return read_papers(papers_path, "cs.RO")


@pytest.fixture(scope="module")
def linear() -> LinearModel:
    """Small random weights: nothing that a real one would not hold."""
    weights = np.random.default_rng(5).integers(-300, 300, 2**HASH_BITS).astype(np.int16)
    return LinearModel(weights=weights, scale=0.01, bias=-1.0)


@pytest.fixture(scope="module")
def scores(labelled: LabelledPapers, linear: LinearModel) -> ViewScores:
    """As if the encoder had some idea of the papers."""
    noise = np.random.default_rng(6).normal(0, 2, len(labelled))
    return ViewScores(
        positive=labelled.positive,
        encoder=np.where(labelled.positive, 2.0, -2.0) + noise,
        linear=linear.scores(labelled.titles, labelled.abstracts),
    )


@pytest.fixture(scope="module")
def with_views(
    tiny_bundle: Path,
    linear: LinearModel,
    scores: ViewScores,
    labelled: LabelledPapers,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("views") / "bundle"
    add_views(Bundle.load(tiny_bundle), "# Card", linear.to_bytes(), scores, labelled, output=folder, overwrite=False)
    return folder


def test_the_bundle_holds_all_that_the_views_need(with_views: Path) -> None:
    bundle = Bundle.load(with_views)
    assert set(bundle.manifest.files) == {
        *("model.onnx", "tokenizer.json", "README.md"),
        *("linear.safetensors", "curves.csv", "reliability.png"),
    }
    assert set(bundle.manifest.views) == {"combined", "encoder", "linear"}
    assert bundle.manifest.view == "combined"
    assert bundle.manifest.quality["views"]["combined"]["calibration_error"] < 0.05
    curves = pl.read_csv(with_views / "curves.csv")
    assert set(curves["view"]) == {"combined", "encoder", "linear"}
    card = ModelCard.load(with_views / "README.md")
    assert card.text.startswith("# Card\n\n## Views")
    found = {result.metric_type: result.metric_value for result in card.data.eval_results or []}
    combined = bundle.manifest.quality["views"]["combined"]
    assert found == {name: combined[name] for name in ("average_precision", "f1", "precision", "recall")}


def test_card_keeps_its_pictures_and_says_what_made_the_bundle(
    tiny_bundle: Path,
    with_views: Path,
    linear: LinearModel,
    scores: ViewScores,
    labelled: LabelledPapers,
    tmp_path: Path,
) -> None:
    plain = Bundle.load(with_views)
    described, _ = add_views(
        Bundle.load(tiny_bundle),
        "# Card",
        linear.to_bytes(),
        scores,
        labelled,
        output=tmp_path / "described",
        overwrite=False,
        pictures={"loss.png": b"a picture"},
        made_by="`make model` at commit 0123abc.",
    )
    assert (tmp_path / "described" / "loss.png").read_bytes() == b"a picture"
    assert "loss.png" in described.manifest.files
    card = (tmp_path / "described" / "README.md").read_text()
    assert "## How this bundle was made\n\n`make model` at commit 0123abc.\n" in card
    assert "](reliability.png)" in card
    assert described.digest != plain.digest
    assert described.manifest.scoring_digest == plain.manifest.scoring_digest


def test_views_are_added_once(
    with_views: Path, linear: LinearModel, scores: ViewScores, labelled: LabelledPapers, tmp_path: Path
) -> None:
    bundle, card, content = Bundle.load(with_views), (with_views / "README.md").read_text(), linear.to_bytes()
    again, _ = add_views(bundle, card, content, scores, labelled, output=tmp_path / "again", overwrite=False)
    assert (tmp_path / "again" / "README.md").read_text() == card
    assert again.digest == bundle.digest
    with pytest.raises(OutputError, match="--overwrite"):
        add_views(bundle, card, content, scores, labelled, output=with_views, overwrite=False)


def test_scores_are_the_formula_of_the_manifest(
    with_views: Path,
    linear: LinearModel,
    papers_path: Path,
    tmp_path: Path,
    score: Callable[..., Outcome],
    labelled: LabelledPapers,
) -> None:
    plain = Classifier.load(with_views)
    manifest = plain.manifest
    weights = manifest.views["combined"]
    pl.read_parquet(papers_path).head(100).write_parquet(tmp_path / "papers.parquet")
    assert score(tmp_path / "papers.parquet", "-o", tmp_path / "labels.parquet", bundle=with_views).code == 0
    labels = pl.read_parquet(tmp_path / "labels.parquet")
    titles, abstracts = labelled.titles[:100], labelled.abstracts[:100]
    logits = np.array([plain.logits(plain.encode(*text)) for text in zip(titles, abstracts, strict=True)])
    margin = logits[:, manifest.positive_index].astype(float) - logits[:, 1 - manifest.positive_index]
    expected = weights.intercept + weights.encoder * margin + weights.linear * linear.scores(titles, abstracts)
    # float32 rounds the score itself; its log-odds are compared within what that leaves.
    np.testing.assert_allclose(log_odds(labels["score"].to_numpy()), expected, rtol=0, atol=1e-3)
    called = labels["score"].cast(pl.Float64) >= weights.threshold
    assert (labels["label"] == "cs.RO").to_list() == called.to_list()


def test_order_threads_and_parts_change_no_bit(
    with_views: Path, papers: pl.DataFrame, tmp_path: Path, score: Callable[..., Outcome]
) -> None:
    def scores_of(frame: pl.DataFrame, *flags: str) -> pl.DataFrame:
        source, target = tmp_path / "papers.parquet", tmp_path / "labels.parquet"
        frame.write_parquet(source)
        target.unlink(missing_ok=True)  # else its scores would be used again
        assert score(source, "-o", target, *flags, bundle=with_views).code == 0
        return pl.read_parquet(target).select("id", pl.col("score").cast(pl.Float32).reinterpret(signed=False))

    first = scores_of(papers, "--threads", "1").sort("id")
    shuffled = papers.sample(fraction=1, shuffle=True, seed=1)
    again = scores_of(shuffled, "--threads", "3", "--part-rows", "37").sort("id")
    assert first.equals(again)


def test_a_damaged_linear_view_is_refused(with_views: Path, linear: LinearModel) -> None:
    bundle = Bundle.load(with_views)
    broken = Bundle(
        manifest=bundle.manifest,
        digest=bundle.digest,
        model=bundle.model,
        tokenizer=bundle.tokenizer,
        linear=linear.to_bytes()[:-1],
    )
    with pytest.raises(BundleError, match="linear view"):
        Classifier(broken)


def test_scores_of_other_papers_are_refused(labelled: LabelledPapers, tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    with pytest.raises(InputMissingError, match="--scores-out"):
        read_scores(path, labelled)
    pl.DataFrame({"id": ["another"], "score": [0.5]}).write_parquet(path)
    with pytest.raises(InputDataError, match="ids"):
        read_scores(path, labelled)
    pl.DataFrame({"id": [labelled.ids[3]], "score": [0.5]}).write_parquet(path)
    found, _ = read_scores(path, labelled)
    assert np.flatnonzero(np.isfinite(found)).tolist() == [3]


def test_scores_of_repeated_papers_are_those_of_their_rows(labelled: LabelledPapers, tmp_path: Path) -> None:
    repeated, scores = labelled.take(np.array([2, 5, 2])), np.array([0.5, 0.1, 0.7], dtype=np.float32)
    write_scores(tmp_path / "scores.parquet", repeated.ids, repeated.positive, scores)
    np.testing.assert_array_equal(read_scores(tmp_path / "scores.parquet", repeated)[0], scores)
    with pytest.raises(InputDataError, match="each only once"):
        read_scores(tmp_path / "scores.parquet", labelled)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_papers_may_be_text(suffix: str, papers_path: Path, labelled: LabelledPapers, tmp_path: Path) -> None:
    path, frame = tmp_path / f"papers.{suffix}", pl.read_parquet(papers_path)
    (frame.write_csv if suffix == "csv" else frame.write_ndjson)(path)
    found = read_papers(path, "cs.RO")
    assert (found.ids, found.titles, found.abstracts) == (labelled.ids, labelled.titles, labelled.abstracts)
    np.testing.assert_array_equal(found.positive, labelled.positive)


def test_a_file_that_is_no_linear_view_is_named(
    invoke: Invoke, tiny_bundle: Path, papers_path: Path, tmp_path: Path
) -> None:
    args: list[str | Path] = [tiny_bundle, "--linear", papers_path, "--papers", papers_path, "-o", tmp_path / "bundle"]
    outcome = invoke(views_command, args)
    assert outcome.code == 65
    assert f"{papers_path}: linear view: not of the form" in outcome.stderr


def test_a_scored_paper_may_stand_for_several(labelled: LabelledPapers, tmp_path: Path) -> None:
    path, scored = tmp_path / "scores.parquet", labelled.take(np.array([2, 5]))
    pl.DataFrame({"id": scored.ids, "score": [0.5, 0.1]}).write_parquet(path)
    assert read_scores(path, scored)[1].tolist() == [1, 1]
    pl.DataFrame({"id": scored.ids[::-1], "score": [0.1, 0.5], "papers": [30, 1]}).write_parquet(path)
    assert read_scores(path, scored)[1].tolist() == [1, 30]


def test_the_card_compares_spans_of_years(
    tiny_bundle: Path, linear: LinearModel, scores: ViewScores, labelled: LabelledPapers, tmp_path: Path
) -> None:
    months = np.where(np.arange(len(labelled)) % 2, labelled.truth.month, 2025 * 12 + 2).astype(np.int32)
    newer = replace(labelled, truth=replace(labelled.truth, month=months))
    twice = replace(scores, counts=np.full(len(scores), 2))
    bundle = Bundle.load(tiny_bundle)
    add_views(bundle, "# Card", linear.to_bytes(), twice, newer, output=tmp_path / "b", overwrite=False)
    card = (tmp_path / "b" / "README.md").read_text()
    assert "### By year\n\n```\ncs.RO, by year " in card
    assert card.count("| score | id | title | primary category |") == 2
    spans = Bundle.load(tmp_path / "b").manifest.quality["spans"]
    assert set(spans) == {"to 2019", "from 2020 on"}
    assert sum(span["papers"] for span in spans.values()) == 2 * len(scores)
    assert {"reliability_0.png", "reliability_1.png"} < set(Bundle.load(tmp_path / "b").manifest.files)


TABLES: dict[str, tuple[dict[str, list[object]], str]] = {
    "without ids": ({"score": [0.5]}, "expected the columns id and score"),
    "without scores": ({"id": ["a"]}, "expected the columns id and score"),
    "of text": ({"id": ["a"], "score": ["x"]}, "expected the columns id and score"),
    "of log-odds": ({"id": ["a"], "score": [2.0]}, "expected probabilities, found 2.0"),
    "of ids that are numbers": ({"id": [7], "score": [0.5]}, "its ids are not those of the papers"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_that_holds_no_scores_is_refused(kind: str, labelled: LabelledPapers, tmp_path: Path) -> None:
    columns, message = TABLES[kind]
    pl.DataFrame(columns).write_parquet(tmp_path / "scores.parquet")
    with pytest.raises(InputDataError, match=message):
        read_scores(tmp_path / "scores.parquet", labelled)


def test_a_file_that_holds_no_scores_is_refused(labelled: LabelledPapers, tmp_path: Path) -> None:
    (tmp_path / "scores.parquet").write_bytes(b"no table")
    with pytest.raises(InputDataError, match="expected the columns id and score"):
        read_scores(tmp_path / "scores.parquet", labelled)
    with pytest.raises(InputMissingError, match="found a folder"):
        read_scores(tmp_path, labelled)


@pytest.mark.parametrize(
    ("shares", "scores", "message"),
    [("zz,1.0", 0.5, "and a share in .*, found only one kind or none"), (None, None, "that have a score, found only")],
)
def test_papers_that_all_count_nothing_are_refused(
    shares: str | None,
    scores: float | None,
    message: str,
    tiny_bundle: Path,
    linear: LinearModel,
    labelled: LabelledPapers,
    papers_path: Path,
    invoke: Invoke,
    tmp_path: Path,
) -> None:
    (tmp_path / "linear.safetensors").write_bytes(linear.to_bytes())
    write_scores(tmp_path / "scores.parquet", labelled.ids, labelled.positive, np.full(len(labelled), scores or np.nan))
    args: list[str | Path] = [
        tiny_bundle,
        "-o",
        tmp_path / "views",
        "--papers",
        papers_path,
        "--linear",
        tmp_path / "linear.safetensors",
    ]
    args += ["--scores", tmp_path / "scores.parquet"]
    if shares is not None:
        (tmp_path / "shares.csv").write_text(f"archive,share\n{shares}\n")
        args += ["--shares", tmp_path / "shares.csv"]
    outcome = invoke(views_command, args)
    assert outcome.code == 65
    assert re.search(message, outcome.stderr)
