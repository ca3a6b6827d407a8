"""The certificate of a cascade: counts, cut and bound, and a bundle that holds them."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom

from export import views
from export.attach import add_views
from export.certify import command
from export.measured import read_measured
from export.papers import read_papers
from ro32.errors import BundleError, InputDataError
from ro32.model.binomial import upper_bound
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import Manifest
from ro32.model.classifier import Classifier
from ro32.model.linear_view import LinearModel
from ro32.refresh.certificate import (
    MAX_LOSS,
    Measured,
    cascade_scores,
    choose_cut,
    make_cascade,
    most_allowed,
    quality,
    table,
)
from ro32.refresh.combine import ViewScores
from ro32.run.walk import score_file
from tests.command_line import Invoke

THRESHOLD = 0.5


def measured(
    linear: NDArray[np.float64], called: NDArray[np.bool_], listed: NDArray[np.bool_] | None = None
) -> Measured:
    return Measured(
        ids=[str(row) for row in range(len(linear))],
        linear=linear,
        full=np.where(called, 0.9, 0.01).astype(np.float32),
        threshold=THRESHOLD,
        listed=listed,
        groups={"year": [str(2000 + row % 3) for row in range(len(linear))]},
        counts=np.ones(len(linear), dtype=np.int64),
    )


def test_a_paper_that_stands_for_three_counts_three_times_in_quality_and_never_tightens_the_bound() -> None:
    rng = np.random.default_rng(5)
    sample = drawn(5)
    listed = sample.called & (rng.random(len(sample)) < 0.9)
    sample = replace(sample, listed=listed)
    counts = np.where(np.arange(len(sample)) % 2, 3, 1)
    rows = np.repeat(np.arange(len(sample)), counts)
    repeated = replace(
        sample,
        ids=[f"{row} {number}" for number, row in enumerate(rows.tolist())],
        linear=sample.linear[rows],
        full=sample.full[rows],
        listed=listed[rows],
        groups={},
        counts=np.ones(len(rows), dtype=np.int64),
    )
    weighted = replace(sample, counts=counts)
    cascade = make_cascade(weighted, view="combined", max_share=0.01, confidence=0.95, papers_sha256="")
    assert cascade.certificate.papers == len(sample)
    assert quality(weighted, cascade) == pytest.approx(quality(repeated, cascade), abs=2e-6)
    certificate = cascade.certificate
    of_a_draw = upper_bound(certificate.lost, len(sample), certificate.confidence)
    assert certificate.bound == pytest.approx(of_a_draw * 3 / counts.mean())


def test_the_bound_of_a_sample_holds_for_the_papers_that_it_stands_for() -> None:
    """Changes hide among the papers that stand for most others: the bound must hold as often as it says."""
    rng, runs, missed = np.random.default_rng(11), 2000, 0
    counts = np.repeat([1, 8], [2000, 1000])
    share = 1000 * 8 * 0.003 / counts.sum()  # of the papers that stand for eight, three in a thousand change
    sample = replace(drawn(1, papers=3000), counts=counts)
    for lost in rng.binomial(1000, 0.003, runs).tolist():
        missed += sample.bound(lost, 0.95) < share
    assert missed / runs <= 0.06


def drawn(seed: int, papers: int = 5000) -> Measured:
    """Papers whose label full scoring decides with an eye on the linear view."""
    rng = np.random.default_rng(seed)
    linear = rng.normal(-5, 4, papers)
    return measured(linear, rng.random(papers) < 1 / (1 + np.exp(-1.5 * linear)))


@pytest.mark.parametrize(("papers", "allowed"), [(29_956, 0), (47_400, 0), (47_450, 1), (88_785, 3)])
def test_so_many_labels_may_change(papers: int, allowed: int) -> None:
    assert most_allowed(papers, 0.0001, 0.95, 1.0) == allowed


def test_too_few_papers_certify_nothing() -> None:
    with pytest.raises(BundleError, match="measure on more papers"):
        most_allowed(29_955, 0.0001, 0.95, 1.0)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**32 - 1), max_share=st.sampled_from([0.001, 0.005, 0.02]))
def test_the_cut_is_the_fastest_that_is_allowed(seed: int, max_share: float) -> None:
    papers = drawn(seed)
    cut = choose_cut(papers, max_share, 0.95)
    lost = int(np.sum(papers.called & (papers.linear < cut)))
    assert upper_bound(lost, len(papers), 0.95) <= max_share
    more = int(np.sum(papers.called & (papers.linear < cut + 1 / 16)))
    one_more = int(np.sum(papers.called & (papers.linear <= cut + 1 / 16)))
    assert max(more, one_more) >= lost
    assert upper_bound(one_more, len(papers), 0.95) > max_share or one_more > lost or more == lost


def test_the_chosen_cut_keeps_to_the_share_as_often_as_it_says() -> None:
    """Draw many certificates from a known law: the true share at the chosen cut exceeds 1 % in 5 % of them at most."""
    law = drawn(1, 400_000)
    order = np.argsort(law.linear)
    true_share = np.cumsum(law.called[order]) / len(law)
    rng, failures, draws = np.random.default_rng(2), 0, 400
    for _ in range(draws):
        rows = rng.integers(len(law), size=1000)
        cut = choose_cut(measured(law.linear[rows], law.called[rows]), 0.01, 0.95)
        failures += true_share[np.searchsorted(law.linear[order], cut) - 1] > 0.01
    assert binom.sf(failures - 1, draws, 0.05) > 0.001


def test_counts_by_cut_group_and_paper_add_up() -> None:
    papers = drawn(3)
    cascade = make_cascade(papers, view="combined", max_share=0.005, confidence=0.95, papers_sha256="00")
    rows = list(table(papers, cascade.cut))
    (everything,) = [row for row in rows if row.by == "all"]
    years = [row for row in rows if row.by == "year"]
    for name in ("papers", "screened", "lost"):
        assert sum(getattr(row, name) for row in years) == getattr(everything, name) > 0
    assert {row.value for row in rows if row.by == "paper"} == {
        papers.ids[row] for row in np.flatnonzero(papers.called & (papers.linear < cascade.cut)).tolist()
    }
    front = [row for row in rows if row.by == "cut"]
    assert [row.screened for row in front] == sorted(row.screened for row in front)
    assert [row.lost for row in front] == sorted(row.lost for row in front)
    assert (everything.screened, everything.lost) == (cascade.certificate.screened, cascade.certificate.changed)


def test_screened_scores_mean_what_full_scores_mean() -> None:
    papers = drawn(4, 20_000)
    papers = replace(papers, full=(1 / (1 + np.exp(1 - papers.linear))).astype(np.float32))
    cascade = make_cascade(papers, view="combined", max_share=0.002, confidence=0.95, papers_sha256="00")
    np.testing.assert_allclose(cascade_scores(papers, cascade), papers.full, rtol=0.01)


def test_papers_that_are_not_screened_keep_their_scores_and_quality_is_compared() -> None:
    papers = drawn(5)
    options: dict[str, Any] = {"view": "combined", "max_share": 0.005, "confidence": 0.95, "papers_sha256": "00"}
    unbounded = make_cascade(papers, **options)
    papers = replace(papers, listed=papers.called)
    assert quality(papers, unbounded)["cascade_f1"] < 0.999
    cascade = make_cascade(papers, **options)
    found = quality(papers, cascade)
    assert cascade.cut < unbounded.cut
    assert 1.0 == found["full_f1"] >= found["cascade_f1"] >= 0.999
    assert cascade.certificate.quality == found
    kept = papers.linear >= cascade.cut
    assert (cascade_scores(papers, cascade)[kept] == papers.full[kept]).all()
    assert quality(replace(papers, listed=None), cascade) == {}


def test_no_cut_helps_where_the_linear_view_knows_nothing() -> None:
    rng = np.random.default_rng(6)
    with pytest.raises(BundleError, match="no cut excludes"):
        choose_cut(measured(np.zeros(1000), rng.random(1000) < 0.5), 0.01, 0.95)


def test_papers_that_no_screen_may_take_decide_no_cut() -> None:
    """Their log-odds count as infinite; a cut there would be none."""
    linear, called = np.linspace(-9, -1, 1_000), np.zeros(1_000, dtype=np.bool_)
    linear[990:], called[990:] = np.inf, True
    assert choose_cut(measured(linear, called), 0.005, 0.95) <= linear[989]
    with pytest.raises(BundleError, match="no cut excludes"):
        choose_cut(measured(np.full(1_000, np.inf), called), 0.005, 0.95)


@pytest.fixture(scope="module")
def with_views(tiny_bundle: Path, papers_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny encoder and the shipped linear view, combined as the exporter does it."""
    folder = tmp_path_factory.mktemp("views") / "bundle"
    papers, linear = read_papers(papers_path, "cs.RO"), Bundle.shipped().linear
    assert linear is not None
    rng = np.random.default_rng(7)
    scores = ViewScores(
        positive=papers.positive,
        encoder=np.where(papers.positive, 2.0, -2.0) + rng.normal(0, 2, len(papers)),
        linear=LinearModel.from_bytes(linear).scores(papers.titles, papers.abstracts),
    )
    add_views(Bundle.load(tiny_bundle), "# Card", linear, scores, papers, output=folder, overwrite=False)
    return folder


@pytest.fixture
def bundle(with_views: Path, tmp_path: Path) -> Path:
    shutil.copytree(with_views, tmp_path / "bundle")
    return tmp_path / "bundle"


def test_a_bundle_gets_its_certificate_and_scores_by_it(
    invoke: Invoke, bundle: Path, few_path: Path, tmp_path: Path
) -> None:
    before = Bundle.load(bundle)
    labels = tmp_path / "full.parquet"
    score_file([str(few_path)], labels, classifier=Classifier(before))
    args: list[str | Path] = [bundle, "--papers", few_path, "--labels", labels, "--max-share", "0.02"]
    outcome = invoke(command, args)
    assert outcome.code == 0, outcome.stderr
    after = Bundle.load(bundle)
    cascade = after.manifest.cascade
    assert cascade is not None
    certificate = cascade.certificate
    assert f"({certificate.screened / certificate.papers:.2%})" in outcome.stdout
    assert after.manifest.scoring_digest != before.manifest.scoring_digest
    card = (bundle / "README.md").read_text()
    assert card.count("## Cascade") == 1
    assert f"below {cascade.cut:g} are scored by it alone" in card

    again = invoke(command, args)  # is no different, and replaces what is there
    assert (again.stdout, Bundle.load(bundle).digest) == (outcome.stdout, after.digest)
    assert invoke(command, [*args, "--check"]).stdout == outcome.stdout

    unaudited = replace(after, manifest=replace(after.manifest, cascade=replace(cascade, audit_share=0.0)))
    score_file([str(few_path)], tmp_path / "new.parquet", classifier=Classifier(unaudited))
    full, found = pl.read_parquet(labels), pl.read_parquet(tmp_path / "new.parquet")
    changed = full.filter(full["label"] != found["label"])
    counts = pl.read_csv(bundle / "cascade.csv", schema_overrides={"value": pl.String})
    assert changed["id"].to_list() == counts.filter(pl.col("by") == "paper")["value"].to_list()
    assert (found["screened"].sum(), changed.height) == (certificate.screened, certificate.changed)


def test_unlabelled_papers_certify_too(invoke: Invoke, bundle: Path, papers_path: Path, tmp_path: Path) -> None:
    papers = tmp_path / "papers.parquet"
    pl.read_parquet(papers_path).select("id", "title", "abstract").head(600).write_parquet(papers)
    args: list[str | Path] = [bundle, "--papers", papers, "--max-share", "0.02", "-o", tmp_path / "new"]
    outcome = invoke(command, args)
    assert outcome.code == 0, outcome.stderr
    assert "f1" not in outcome.stdout
    cascade = Bundle.load(tmp_path / "new").manifest.cascade
    assert cascade is not None
    assert cascade.certificate.quality == {}
    assert Bundle.load(bundle).manifest.cascade is None


def test_written_scores_give_the_same_certificate(bundle: Path, papers_path: Path, tmp_path: Path) -> None:
    """Scores of the encoder alone, as `python -m export --scores-out` writes them."""
    loaded = Bundle.load(bundle)
    encoder = Classifier(replace(loaded, manifest=replace(loaded.manifest, views={}, view=None), linear=None))
    frame = pl.read_parquet(papers_path).head(400)
    frame.write_parquet(tmp_path / "papers.parquet")
    papers = read_papers(tmp_path / "papers.parquet", "cs.RO")
    scores = encoder.predict_proba(titles=papers.titles, abstracts=papers.abstracts)[:, encoder.manifest.positive_index]
    pl.DataFrame({"id": papers.ids, "score": scores}).write_parquet(tmp_path / "scores.parquet")
    classifier, path = Classifier(loaded), tmp_path / "papers.parquet"
    exact, _ = read_measured(classifier, path, scores=None, labels=None, threads=2)
    put_together, _ = read_measured(classifier, path, scores=tmp_path / "scores.parquet", labels=None, threads=2)
    np.testing.assert_allclose(put_together.full, exact.full, atol=1e-4)
    assert (put_together.called == exact.called).all()
    assert (put_together.linear == exact.linear).all()


def test_what_cannot_be_certified_is_refused(
    invoke: Invoke, bundle: Path, tiny_bundle: Path, papers_path: Path, tmp_path: Path, tiny_labels: Path
) -> None:
    few = invoke(command, [bundle, "--papers", papers_path, "--labels", tiny_labels])
    assert (few.code, "not this bundle's labels" in few.stderr) == (65, True)
    plain = invoke(command, [tiny_bundle, "--papers", papers_path])
    assert (plain.code, "does not score by a linear view" in plain.stderr) == (78, True)
    pl.read_parquet(papers_path).head(50).write_parquet(tmp_path / "few.parquet")
    small = invoke(command, [bundle, "--papers", tmp_path / "few.parquet"])
    assert (small.code, "measure on more papers" in small.stderr) == (78, True)
    unchecked = invoke(command, [bundle, "--papers", tmp_path / "few.parquet", "--check"])
    assert (unchecked.code, "no cascade to check" in unchecked.stderr) == (78, True)
    assert Bundle.load(bundle).manifest.cascade is None
    pl.DataFrame({"id": ["1"]}).write_parquet(tmp_path / "none.parquet")
    with pytest.raises(InputDataError, match="no column title, abstract"):
        read_measured(Classifier.load(bundle), tmp_path / "none.parquet", scores=None, labels=None, threads=1)


def test_new_views_drop_the_certificate(invoke: Invoke, bundle: Path, few_path: Path, tmp_path: Path) -> None:
    """It speaks of the old ones."""
    outcome = invoke(command, [bundle, "--papers", few_path, "--max-share", "0.02"])
    assert outcome.code == 0, outcome.stderr
    linear, output = tmp_path / "linear.safetensors", tmp_path / "again"
    shutil.copy(bundle / "linear.safetensors", linear)
    outcome = invoke(views.command, [bundle, "--papers", few_path, "--linear", linear, "-o", output])
    assert outcome.code == 0, outcome.stderr
    again = Bundle.load(output)
    assert again.manifest.cascade is None
    assert "cascade.csv" not in again.manifest.files
    assert "## Cascade" not in (output / "README.md").read_text()


def shipped() -> Manifest:
    return Bundle.shipped().manifest


@pytest.mark.skipif(shipped().cascade is None, reason="the shipped bundle has no certificate yet")
@pytest.mark.parametrize("likest", [50, pytest.param(250, marks=pytest.mark.full)])
def test_the_certificate_of_the_shipped_bundle_is_found_again_on_the_sample(papers_path: Path, likest: int) -> None:
    """The sample is part of the papers that it was measured on, so its papers must do what the certificate says."""
    bundle = Bundle.shipped()
    cascade = bundle.manifest.cascade
    assert cascade is not None
    certificate = cascade.certificate
    assert certificate.bound >= upper_bound(certificate.changed, certificate.papers, certificate.confidence)
    assert certificate.bound <= certificate.max_share
    assert certificate.changed <= most_allowed(certificate.papers, certificate.max_share, certificate.confidence, 1.0)
    for name, bound in MAX_LOSS.items():
        assert certificate.quality[f"full_{name}"] - certificate.quality[f"cascade_{name}"] <= bound
    assert (certificate.view, certificate.covers(bundle.manifest.threshold)) == (bundle.manifest.view, True)
    counts = pl.read_csv(
        Path(__file__).parents[2] / "ro32" / "shipped" / "cascade.csv", schema_overrides={"value": pl.String}
    )
    named = set(counts.filter(pl.col("by") == "paper")["value"])
    assert len(named) == certificate.changed

    classifier = Classifier(bundle, full=True)
    sample = read_papers(papers_path, "cs.RO")
    linear = classifier.linear_scores(sample.titles, sample.abstracts)
    below = linear < cascade.cut
    random = ~pl.read_parquet(papers_path)["oversampled"].to_numpy()
    screened, drawn_papers = int((below & random).sum()), int(random.sum())
    # The papers of the certificate are harder than random ones: all positives and the likeliest others are among them.
    assert screened / drawn_papers >= certificate.screened / certificate.papers
    # Those below the cut that are most like robotics: if any of the sample changes its label, it is among them.
    rows = np.flatnonzero(below)[np.argsort(-linear[below])][:likest]
    found = classifier.predict_proba(
        titles=[sample.titles[row] for row in rows], abstracts=[sample.abstracts[row] for row in rows]
    )
    called = found[:, classifier.manifest.positive_index].astype(np.float64) >= classifier.manifest.threshold
    assert {sample.ids[row] for row in rows[called]} == named & {sample.ids[row] for row in rows}
