"""The cascade: most papers by the screen alone, and the whole contract of the walk kept."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from ro32.data.labels import read_provenance
from ro32.errors import BundleError, InputDataError, Interrupted
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import Manifest
from ro32.model.cascade import Cascade, Certificate
from ro32.model.classifier import Classifier
from ro32.model.operating_point import OperatingPoint
from ro32.model.text import normalize
from ro32.monitor.status import dry_run
from ro32.run.audit import Audit
from ro32.run.job import Settings
from ro32.run.journal import Journal
from ro32.run.walk import Progress, Summary, score_file
from tests.command_line import Score
from tests.docs.tables import check_documented

Run = Callable[..., Summary]


Load = Callable[..., Classifier]


@pytest.fixture(scope="module")
def load(cascade_bundle: Path) -> Load:
    """Load the bundle, with another cascade."""
    bundle = Bundle.load(cascade_bundle)

    @cache
    def call(threshold: float | None = None, *, full: bool = False, **changed: Any) -> Classifier:
        cascade = replace(cascade_of(bundle.manifest), **changed)
        point = OperatingPoint(threshold=threshold)
        return Classifier(replace(bundle, manifest=replace(bundle.manifest, cascade=cascade)), point, full=full)

    return call


def cascade_of(manifest: Manifest) -> Cascade:
    assert manifest.cascade is not None
    return manifest.cascade


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return tmp_path / "labels.parquet"


@pytest.fixture
def run(tmp_path: Path, load: Load) -> Run:
    """Score frames into labels.parquet of one folder, 50 rows a part, by the bundle without an audit."""

    def call(
        frame: pl.DataFrame | None,
        classifier: Classifier | None = None,
        on_progress: Callable[[Progress], None] = lambda _: None,
        journal: Journal | None = None,
        **options: Any,
    ) -> Summary:
        if frame is not None:
            frame.write_parquet(tmp_path / "papers.parquet")
        return score_file(
            [str(tmp_path / "papers.parquet")],
            tmp_path / "labels.parquet",
            classifier=classifier or load(audit_share=0.0),
            settings=Settings(**{"part_rows": 50, **options}),
            on_progress=on_progress,
            journal=journal,
        )

    return call


def bits(labels: pl.DataFrame) -> pl.DataFrame:
    """Make scores comparable to the last bit, NaN and all."""
    return labels.with_columns(pl.col("score").reinterpret(signed=False))


def test_papers_below_the_cut_get_the_screens_score_and_the_others_the_full_one(
    run: Run, papers: pl.DataFrame, labels: Path, load: Load
) -> None:
    summary = run(papers, load(full=True))
    full = pl.read_parquet(labels)
    assert (summary.counts.screened, full["screened"].any()) == (0, False)
    labels.unlink()
    counts = run(papers).counts
    found = pl.read_parquet(labels)
    text = papers.select(normalize(pl.col("title", "abstract")))
    linear = load().linear_scores(text["title"].to_list(), text["abstract"].to_list())
    cascade = cascade_of(load().manifest)
    below = linear < cascade.cut
    assert found["screened"].to_list() == below.tolist()
    assert 0 < counts.screened == below.sum() < counts.scored == 300
    assert counts.tokens < summary.counts.tokens
    assert bits(found.filter(~below)).equals(bits(full.filter(~below)))
    expected = np.array([1 / (1 + math.exp(-cascade.linear * value)) for value in linear[below]], dtype=np.float32)
    np.testing.assert_allclose(found["score"].to_numpy()[below], expected, rtol=1e-6)
    assert set(found["label"].to_numpy()[below]) == {"other"}
    assert found.drop("score", "label", "screened").equals(full.drop("score", "label", "screened"))


@pytest.mark.drawn(1)
@pytest.mark.parametrize(("threads", "part_rows"), [(1, 1), (2, 7), (3, 20_000)])
def test_scores_depend_on_the_paper_alone(
    run: Run, papers: pl.DataFrame, labels: Path, load: Load, threads: int, part_rows: int
) -> None:
    run(papers, load(audit_share=0.2))
    expected = pl.read_parquet(labels).sort("id")
    labels.unlink()
    shuffled = papers.sample(fraction=1, shuffle=True, seed=threads)
    counts = run(shuffled, load(audit_share=0.2), threads=threads, part_rows=part_rows).counts
    assert counts.audited > 10
    assert bits(pl.read_parquet(labels).sort("id")).equals(bits(expected))


@pytest.mark.parametrize("value", [None, "", " \n ", "\x00\x01", "\u200b\u200b", "机器人", "a", "?"])
def test_a_row_has_a_score_exactly_where_full_scoring_gives_one(
    run: Run, papers: pl.DataFrame, labels: Path, load: Load, value: str | None
) -> None:
    """The screen sees words where the tokenizer may see none, and none where it may see some."""
    blank = papers.head(2).with_columns(title=pl.lit(value, pl.String), abstract=pl.lit(value, pl.String))
    errors = []
    for full in (True, False):
        run(blank, load(full=full), no_reuse=True, max_unscored=1)
        errors.append(pl.read_parquet(labels)["error"].to_list())
    assert errors[0] == errors[1]


def test_labels_of_the_same_model_are_used_again(run: Run, papers: pl.DataFrame, labels: Path) -> None:
    run(papers.head(200))
    before = pl.read_parquet(labels)
    counts = run(papers).counts
    assert (counts.reused, counts.scored) == (200, 100)
    assert bits(pl.read_parquet(labels).head(200)).equals(bits(before))
    assert run(None).counts.scored == 0


def test_another_threshold_needs_no_scoring(run: Run, papers: pl.DataFrame, labels: Path, load: Load) -> None:
    """Also one below the certified threshold: which score a paper has does not depend on it."""
    run(papers)
    before = pl.read_parquet(labels)
    for threshold in (0.01, 0.9):
        assert run(None, load(threshold, audit_share=0.0)).counts.reused == 300
        after = pl.read_parquet(labels)
        assert bits(after.drop("label")).equals(bits(before.drop("label")))
        assert (after["label"] == "cs.RO").to_list() == (before["score"].cast(pl.Float64) >= threshold).to_list()


OTHERS: dict[str, dict[str, Any]] = {
    "full scoring": {"full": True},
    "another cut": {"audit_share": 0.0, "cut": -12.0},
    "another audit": {"audit_share": 0.5},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_scores_of_another_model_are_not_used_again(
    run: Run, papers: pl.DataFrame, labels: Path, load: Load, other: dict[str, Any]
) -> None:
    """One digest for each; so a run in between leaves no trace in the scores."""
    run(papers)
    first = pl.read_parquet(labels)
    summary = run(None, load(**other))
    assert summary.counts.reused == 0
    assert summary.not_reused is not None
    assert "another model" in summary.not_reused
    assert not bits(pl.read_parquet(labels)).equals(bits(first))
    assert run(None).counts.reused == 0
    assert bits(pl.read_parquet(labels)).equals(bits(first))


def test_a_bit_flip_in_labels_that_were_screened_is_noticed(run: Run, papers: pl.DataFrame, labels: Path) -> None:
    run(papers.head(50))
    before, data = bits(pl.read_parquet(labels)), labels.read_bytes()
    for at in range(0, len(data), 1499):
        labels.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        run(None)
        assert bits(pl.read_parquet(labels)).equals(before)


def stop_after(parts: int) -> Callable[[Progress], None]:
    def stop(progress: Progress) -> None:
        if progress.parts_done == parts:
            raise Interrupted(15)

    return stop


def test_a_killed_run_goes_on_where_it_was(run: Run, papers: pl.DataFrame, labels: Path, load: Load) -> None:
    classifier = load(audit_share=0.1)
    first = run(papers, classifier)
    expected = pl.read_parquet(labels)
    labels.unlink()
    with pytest.raises(Interrupted):
        run(None, classifier, on_progress=stop_after(3))
    again = run(None, classifier)
    assert (again.resumed, again.counts) == (150, first.counts)
    assert bits(pl.read_parquet(labels)).equals(bits(expected))


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_parts_of_another_model_are_not_taken(
    run: Run, papers: pl.DataFrame, load: Load, other: dict[str, Any]
) -> None:
    with pytest.raises(Interrupted):
        run(papers, on_progress=stop_after(1))
    assert run(None, load(**other)).resumed == 0


def test_a_dry_run_knows_what_is_reused(run: Run, papers: pl.DataFrame, labels: Path, load: Load) -> None:
    run(papers)
    for classifier, expected in ((load(audit_share=0.0), 0), (load(full=True), 300)):
        status = dry_run(
            [str(labels.with_name("papers.parquet"))],
            labels,
            classifier=classifier,
            settings=Settings(part_rows=50),
            journal=Journal(),
        )
        assert status.to_score == expected


def test_audited_papers_are_scored_in_full_and_counted(
    run: Run, papers: pl.DataFrame, labels: Path, load: Load
) -> None:
    screened = run(papers).counts.screened
    run(papers, load(full=True))
    full = pl.read_parquet(labels)
    counts = run(papers, load(audit_share=1.0)).counts
    assert (counts.audited, counts.screened) == (screened, 0)
    assert bits(pl.read_parquet(labels)).equals(bits(full))
    counts = run(papers, load(audit_share=0.25)).counts
    assert counts.audited + counts.screened == screened
    assert counts.audited == pytest.approx(screened / 4, abs=25)


def test_the_threshold_does_not_change_what_the_audit_finds(run: Run, papers: pl.DataFrame, load: Load) -> None:
    """It compares by the threshold of the certificate."""
    found = {
        (counts.audited, counts.disagreements)
        for threshold in (None, 0.01, 0.9)
        for counts in [run(papers, load(threshold, **CONTRADICTING), no_reuse=True).counts]
    }
    ((audited, disagreements),) = found
    assert audited > disagreements > 0


CONTRADICTING = {"cut": 2.0, "intercept": -9.0, "audit_share": 1.0}
"""Screens papers that full scoring calls positive too: half of the sample's positives."""


def test_a_contradiction_warns_or_publishes_nothing(run: Run, papers_path: Path, labels: Path, load: Load) -> None:
    classifier, papers, journal = load(**CONTRADICTING), pl.read_parquet(papers_path).head(600), Journal()
    counts = run(papers, classifier, part_rows=1000, journal=journal).counts
    assert counts.disagreements > 1
    (warned,) = journal.warnings
    assert warned.kind == "cascade"
    assert f"{counts.disagreements} of {counts.audited} papers below the cascade's cut" in warned.message
    before = labels.read_bytes()
    with pytest.raises(InputDataError, match=r"nothing was published; .* --full"):
        run(None, classifier, part_rows=1000, no_reuse=True, strict_cascade=True)
    assert labels.read_bytes() == before


@pytest.mark.parametrize(("point", "lowest"), [("threshold", 0.1), ("abstain", 0.05)])
def test_a_threshold_that_the_certificate_does_not_cover_is_one_sentence(
    run: Run, papers: pl.DataFrame, cascade_bundle: Path, point: str, lowest: float
) -> None:
    asked: dict[str, Any] = {"threshold": 0.1} if point == "threshold" else {"abstain": (0.05, 0.7)}
    journal = Journal()
    run(papers.head(20), Classifier.load(cascade_bundle, OperatingPoint(**asked)), journal=journal)
    (warned,) = journal.warnings
    assert warned.kind == "not_certified"
    assert f"covers thresholds from 0.3000 on, but {lowest:.4f} was requested" in warned.message
    journal = Journal()
    run(papers.head(20), Classifier.load(cascade_bundle, OperatingPoint(threshold=0.6)), journal=journal)
    assert journal.warnings == []


def test_chance_is_no_contradiction() -> None:
    """The certificate allows one in ten thousand: one disagreement happens, three are no accident."""
    found = [Audit(papers=500, disagreements=n, confidence=0.95, allowed=0.0001).exceeded for n in range(4)]
    assert found == [False, False, False, True]
    assert Audit(papers=0, disagreements=0, confidence=0.95, allowed=0.0001).bound == 1.0


def test_the_sample_is_the_share_that_was_asked_for() -> None:
    def audited(share: float) -> NDArray[np.bool_]:
        return Cascade(cut=0.0, intercept=-5.0, linear=1.0, certificate=CERTIFICATE, audit_share=share).audited(hashes)

    hashes = np.frombuffer(np.random.default_rng(3).bytes(16 * 100_000), dtype="S16")
    found = {share: audited(share) for share in (0.0, 0.005, 0.05, 1.0)}
    assert (found[0.0].sum(), found[1.0].sum()) == (0, 100_000)
    assert found[0.005].mean() == pytest.approx(0.005, abs=0.001)
    assert not (found[0.005] & ~found[0.05]).any(), "a larger sample holds the smaller one"


CERTIFICATE = Certificate(
    papers=1000,
    screened=800,
    lost=1,
    gained=0,
    max_share=0.01,
    bound=0.005,
    confidence=0.95,
    view="combined",
    threshold=0.3,
    papers_sha256="00",
)


def test_a_manifest_with_a_cascade_survives_the_round_trip(cascade_bundle: Path, tiny_bundle: Path) -> None:
    manifest = Bundle.load(cascade_bundle).manifest
    again = Manifest.from_bytes(manifest.to_bytes())
    assert again == manifest
    assert again.to_bytes() == manifest.to_bytes()
    assert again.scoring_digest != replace(manifest, cascade=None).scoring_digest
    assert "cascade" not in json.loads((tiny_bundle / "bundle.json").read_bytes())


def test_cascades_that_make_no_sense_are_refused(cascade_bundle: Path) -> None:
    manifest = Bundle.load(cascade_bundle).manifest
    cascade = cascade_of(manifest)
    with pytest.raises(BundleError, match="would be called positive"):
        replace(cascade, intercept=9.0)
    with pytest.raises(BundleError, match="finite"):
        replace(cascade, cut=math.nan)
    with pytest.raises(BundleError, match="weight must not be negative"):
        replace(cascade, linear=-0.1)
    with pytest.raises(BundleError, match="share of audited papers"):
        replace(cascade, audit_share=1.5)
    with pytest.raises(BundleError, match="counts"):
        replace(cascade.certificate, lost=200_000)
    with pytest.raises(BundleError, match="bound"):
        replace(cascade.certificate, bound=0.5)
    with pytest.raises(BundleError, match="papers are scored without one"):
        replace(manifest, views={}, view=None)
    with pytest.raises(BundleError, match="papers are scored without one"):
        replace(manifest, view="encoder")


def test_a_certificate_speaks_of_its_threshold_and_those_above() -> None:
    assert [CERTIFICATE.covers(threshold) for threshold in (0.29, 0.3, 0.6)] == [False, True, True]


def test_the_command_reports_the_cascade(
    score: Score, papers: pl.DataFrame, tmp_path: Path, cascade_bundle: Path
) -> None:
    papers_path = tmp_path / "papers.parquet"
    papers.write_parquet(papers_path)
    labels, report = tmp_path / "labels.parquet", tmp_path / "run.json"
    args = ("--report", report, "--metrics-file", tmp_path / "run.prom")
    outcome = score(papers_path, "-o", labels, *args, bundle=cascade_bundle)
    assert outcome.code == 0, outcome.stderr
    found, provenance = json.loads(report.read_text()), read_provenance(labels)
    check_documented(found, "report")
    assert provenance is not None
    counts = found["papers"]
    assert f"({counts['screened']:,} screened, {counts['scored'] - counts['screened']:,} scored)" in outcome.stderr
    assert f"audit: {counts['disagreements']} of {counts['audited']} disagree" in outcome.stderr
    assert provenance["rows"]["screened"] == provenance["screened_rows"] == counts["screened"]
    assert pl.read_parquet(labels)["screened"].sum() == counts["screened"]
    assert (found["cascade"]["screens"], found["cascade"]["certified_bound"]) == (True, 0.00003)
    audit = Audit(papers=counts["audited"], disagreements=counts["disagreements"], confidence=0.95, allowed=1 / 30_000)
    assert found["cascade"]["audit_bound"] == pytest.approx(audit.bound)
    assert (
        f'\nro32_papers_screened{{target="{labels}"}} {float(counts["screened"])}'
        in (tmp_path / "run.prom").read_text()
    )
    assert provenance["full"] is False
    full = score(papers_path, "-o", labels, "--full", *args, bundle=cascade_bundle)
    assert full.code == 0
    assert json.loads(report.read_text())["cascade"]["screens"] is False
    provenance = read_provenance(labels)
    assert provenance is not None
    assert (provenance["full"], provenance["screened_rows"]) == (True, 0)


def test_a_summary_of_counts_adds_up(run: Run, papers: pl.DataFrame, load: Load) -> None:
    counts = run(papers, load(audit_share=0.1)).counts
    assert asdict(counts + counts) == {
        name: 2 * value if isinstance(value, int) else value for name, value in asdict(counts).items()
    }
