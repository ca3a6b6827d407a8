"""The cascade: most papers by the screen alone, and the whole contract of the walk kept."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ro32.data.labels import read_provenance
from ro32.errors import BundleError, InputDataError, Interrupted, UsageError
from ro32.model.bundle import Bundle, Manifest
from ro32.model.cascade import Cascade, CascadeMode, Certificate
from ro32.model.classifier import Classifier
from ro32.model.operating_point import Decision
from ro32.model.screen import Screen, choose_screen
from ro32.model.text import normalize
from ro32.model.views import ViewName
from ro32.monitor.status import survey
from ro32.run.audit import Audit
from ro32.run.job import Settings
from ro32.run.journal import Journal
from ro32.run.walk import Progress, Summary, score_file
from tests.command_line import Score
from tests.docs.tables import check_documented

Run = Callable[..., Summary]


@pytest.fixture(scope="module")
def cascading(cascade_bundle: Path) -> Classifier:
    return Classifier.load(cascade_bundle)


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return tmp_path / "labels.parquet"


@pytest.fixture
def run(tmp_path: Path, cascading: Classifier) -> Run:
    """Score frames into labels.parquet of one folder, 50 rows a part."""

    def call(
        frame: pl.DataFrame | None,
        cascade: CascadeMode = CascadeMode.ON,
        on_progress: Callable[[Progress], None] = lambda _: None,
        journal: Journal | None = None,
        **options: Any,
    ) -> Summary:
        defaults: dict[str, Any] = {"part_rows": 50, "audit_share": 0.0}
        if frame is not None:
            frame.write_parquet(tmp_path / "papers.parquet")
        return score_file(
            [str(tmp_path / "papers.parquet")],
            tmp_path / "labels.parquet",
            classifier=cascading,
            settings=Settings(**defaults | {"cascade": cascade} | options),
            on_progress=on_progress,
            journal=journal,
        )

    return call


def bits(labels: pl.DataFrame) -> pl.DataFrame:
    """Make scores comparable to the last bit, NaN and all."""
    return labels.with_columns(pl.col("score").reinterpret(signed=False))


def test_papers_below_the_cut_get_the_screens_score_and_the_others_the_full_one(
    run: Run, papers: pl.DataFrame, labels: Path, cascading: Classifier
) -> None:
    summary = run(papers, CascadeMode.OFF)
    full = pl.read_parquet(labels)
    assert (summary.counts.screened, full["screened"].any()) == (0, False)
    labels.unlink()
    counts = run(papers).counts
    found = pl.read_parquet(labels)
    text = papers.select(normalize(pl.col("title", "abstract")))
    linear = cascading.linear_scores(text["title"].to_list(), text["abstract"].to_list())
    cascade = cascading.manifest.cascade
    assert cascade is not None
    below = linear < cascade.cut
    assert found["screened"].to_list() == below.tolist()
    assert 0 < counts.screened == below.sum() < counts.scored == 300
    assert counts.tokens < summary.counts.tokens
    assert bits(found.filter(~below)).equals(bits(full.filter(~below)))
    expected = np.array([1 / (1 + math.exp(-cascade.linear * value)) for value in linear[below]], dtype=np.float32)
    np.testing.assert_allclose(found["score"].to_numpy()[below], expected, rtol=1e-6)
    assert set(found["label"].to_numpy()[below]) == {"other"}
    assert found.drop("score", "label", "screened").equals(full.drop("score", "label", "screened"))


@pytest.mark.parametrize(("threads", "part_rows"), [(1, 1), (2, 7), (3, 20_000)])
def test_scores_depend_on_the_paper_alone(
    run: Run, papers: pl.DataFrame, labels: Path, threads: int, part_rows: int
) -> None:
    run(papers, audit_share=0.2)
    expected = pl.read_parquet(labels).sort("id")
    labels.unlink()
    shuffled = papers.sample(fraction=1, shuffle=True, seed=threads)
    counts = run(shuffled, audit_share=0.2, threads=threads, part_rows=part_rows).counts
    assert counts.audited > 10
    assert bits(pl.read_parquet(labels).sort("id")).equals(bits(expected))


@pytest.mark.parametrize("value", [None, "", " \n ", "\x00\x01", "\u200b\u200b", "机器人", "a", "?"])
def test_a_row_has_a_score_exactly_where_full_scoring_gives_one(
    run: Run, papers: pl.DataFrame, labels: Path, value: str | None
) -> None:
    """The screen sees words where the tokenizer may see none, and none where it may see some."""
    blank = papers.head(2).with_columns(title=pl.lit(value, pl.String), abstract=pl.lit(value, pl.String))
    errors = []
    for mode in (CascadeMode.OFF, CascadeMode.ON):
        run(blank, mode, no_reuse=True, max_unscored=1)
        errors.append(pl.read_parquet(labels)["error"].to_list())
    assert errors[0] == errors[1]


def test_labels_of_the_same_mode_are_used_again(run: Run, papers: pl.DataFrame, labels: Path) -> None:
    run(papers.head(200))
    before = pl.read_parquet(labels)
    counts = run(papers).counts
    assert (counts.reused, counts.scored) == (200, 100)
    assert bits(pl.read_parquet(labels).head(200)).equals(bits(before))
    assert run(None).counts.scored == 0


def test_full_scores_are_used_again_in_either_mode(run: Run, papers: pl.DataFrame, labels: Path) -> None:
    run(papers, CascadeMode.OFF)
    before = pl.read_parquet(labels)
    assert run(None).counts.reused == 300
    assert bits(pl.read_parquet(labels)).equals(bits(before))
    assert run(None, CascadeMode.OFF).counts.reused == 300


def test_screened_scores_are_not_used_again_in_another_mode(
    run: Run, papers: pl.DataFrame, labels: Path, cascading: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    screened = run(papers).counts.screened
    kept = labels.read_bytes()
    counts = run(None, CascadeMode.OFF).counts
    assert (counts.reused, counts.scored) == (300 - screened, screened)
    full = pl.read_parquet(labels)
    assert not full["screened"].any()
    run(None, CascadeMode.OFF, no_reuse=True)
    assert bits(pl.read_parquet(labels)).equals(bits(full))

    labels.write_bytes(kept)
    cascade = cascading.manifest.cascade
    assert cascade is not None
    other = replace(cascading.manifest, cascade=replace(cascade, cut=cascade.cut - 1))
    monkeypatch.setattr(cascading, "manifest", other)
    counts = run(None).counts
    assert counts.reused == 300 - screened
    assert 0 < counts.screened < screened


def test_a_bit_flip_in_labels_that_were_screened_is_noticed(run: Run, papers: pl.DataFrame, labels: Path) -> None:
    run(papers.head(50), CascadeMode.ON)
    before, data = bits(pl.read_parquet(labels)), labels.read_bytes()
    for at in range(0, len(data), 1499):
        labels.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        run(None)
        assert bits(pl.read_parquet(labels)).equals(before)


def test_a_killed_run_goes_on_where_it_was(run: Run, papers: pl.DataFrame, labels: Path) -> None:
    first = run(papers, audit_share=0.1)
    expected = pl.read_parquet(labels)
    labels.unlink()

    def stop(progress: Progress) -> None:
        if progress.parts_done == 3:
            raise Interrupted(15)

    with pytest.raises(Interrupted):
        run(None, on_progress=stop, audit_share=0.1)
    again = run(None, audit_share=0.1)
    assert (again.resumed, again.counts) == (150, first.counts)
    assert bits(pl.read_parquet(labels)).equals(bits(expected))


@pytest.mark.parametrize("changed", [{"cascade": CascadeMode.OFF}, {"audit_share": 0.5}])
def test_parts_of_another_mode_are_not_taken(run: Run, papers: pl.DataFrame, changed: dict[str, Any]) -> None:
    def stop(progress: Progress) -> None:
        if progress.parts_done == 1:
            raise Interrupted(15)

    with pytest.raises(Interrupted):
        run(papers, on_progress=stop)
    assert run(None, **changed).resumed == 0


def test_status_foretells_what_is_reused(run: Run, papers: pl.DataFrame, labels: Path, cascading: Classifier) -> None:
    run(papers)
    for mode in CascadeMode:
        status = survey(
            [str(labels.with_name("papers.parquet"))],
            labels,
            classifier=cascading,
            settings=Settings(part_rows=50, cascade=mode, audit_share=0.0),
            journal=Journal(),
        )
        screened = pl.read_parquet(labels)["screened"].sum()
        assert status.to_score == (screened if mode is CascadeMode.OFF else 0)


def test_audited_papers_are_scored_in_full_and_counted(run: Run, papers: pl.DataFrame, labels: Path) -> None:
    screened = run(papers).counts.screened
    run(papers, CascadeMode.OFF, no_reuse=True)
    full = pl.read_parquet(labels)
    counts = run(papers, audit_share=1.0, no_reuse=True).counts
    assert (counts.audited, counts.screened) == (screened, 0)
    assert bits(pl.read_parquet(labels)).equals(bits(full))
    counts = run(papers, audit_share=0.25, no_reuse=True).counts
    assert counts.audited + counts.screened == screened
    assert counts.audited == pytest.approx(screened / 4, abs=25)


def contradicting(classifier: Classifier) -> Manifest:
    """Screen papers that full scoring calls positive too: half of the sample's positives."""
    cascade = classifier.manifest.cascade
    assert cascade is not None
    return replace(classifier.manifest, cascade=replace(cascade, cut=2.0, intercept=-9.0))


def test_a_contradiction_warns_or_publishes_nothing(
    run: Run, papers_path: Path, labels: Path, cascading: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cascading, "manifest", contradicting(cascading))
    papers, journal = pl.read_parquet(papers_path).head(600), Journal()
    counts = run(papers, audit_share=1.0, part_rows=1000, journal=journal).counts
    assert counts.disagreements > 1
    (warned,) = journal.warnings
    assert warned.kind == "cascade"
    assert f"{counts.disagreements} of {counts.audited} papers below the cascade's cut" in warned.message
    before = labels.read_bytes()
    with pytest.raises(InputDataError, match=r"nothing was published; .* --cascade off"):
        run(None, audit_share=1.0, part_rows=1000, no_reuse=True, strict_cascade=True)
    assert labels.read_bytes() == before


def test_chance_is_no_contradiction() -> None:
    """The certificate allows one in ten thousand: one disagreement happens, three are no accident."""
    found = [Audit(papers=500, disagreements=n, confidence=0.95, allowed=0.0001).exceeded for n in range(4)]
    assert found == [False, False, False, True]
    assert Audit(papers=0, disagreements=0, confidence=0.95, allowed=0.0001).bound == 1.0


def test_the_sample_is_the_share_that_was_asked_for() -> None:
    cascade = Cascade(cut=0.0, intercept=-5.0, linear=1.0, certificate=CERTIFICATE)
    hashes = np.frombuffer(np.random.default_rng(3).bytes(16 * 100_000), dtype="S16")
    found = {share: Screen(cascade, share).audited(hashes) for share in (0.0, 0.005, 0.05, 1.0)}
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
    assert again.scoring_digest == replace(manifest, cascade=None).scoring_digest, "full scores do not depend on it"
    assert "cascade" not in json.loads((tiny_bundle / "bundle.json").read_bytes())


def test_cascades_that_make_no_sense_are_refused(cascade_bundle: Path) -> None:
    manifest = Bundle.load(cascade_bundle).manifest
    cascade = manifest.cascade
    assert cascade is not None
    with pytest.raises(BundleError, match="would be called positive"):
        replace(cascade, intercept=9.0)
    with pytest.raises(BundleError, match="must be finite"):
        replace(cascade, cut=math.nan)
    with pytest.raises(BundleError, match="weight not negative"):
        replace(cascade, linear=-0.1)
    with pytest.raises(BundleError, match="counts"):
        replace(cascade.certificate, lost=200_000)
    with pytest.raises(BundleError, match="bound"):
        replace(cascade.certificate, bound=0.5)
    with pytest.raises(BundleError, match="no views"):
        replace(manifest, views={}, view=None)


def test_a_certificate_speaks_of_its_view_and_threshold(cascade_bundle: Path, tiny_bundle: Path) -> None:
    manifest = Bundle.load(cascade_bundle).manifest
    own, lower, higher = (Decision(threshold=threshold) for threshold in (manifest.threshold, 0.2, 0.6))
    for mode in (CascadeMode.ON, CascadeMode.AUTO):
        assert choose_screen(manifest, own, mode, 0.0) is not None
        assert choose_screen(manifest, higher, mode, 0.0) is not None
        assert choose_screen(manifest, replace(higher, abstain=(0.4, 0.7)), mode, 0.0) is not None
    for other, decision in (
        (manifest, lower),
        (manifest, replace(higher, abstain=(0.2, 0.7))),  # papers between have no label, so they are not negative
        (manifest.choose(ViewName.ENCODER), own),
        (Bundle.load(tiny_bundle).manifest, own),
    ):
        assert choose_screen(other, decision, CascadeMode.AUTO, 0.0) is None
        with pytest.raises(UsageError, match="--cascade off"):
            choose_screen(other, decision, CascadeMode.ON, 0.0)
    assert choose_screen(manifest, own, CascadeMode.OFF, 0.0) is None


def test_the_command_reports_the_cascade(score: Score, papers_path: Path, tmp_path: Path, cascade_bundle: Path) -> None:
    labels, report = tmp_path / "labels.parquet", tmp_path / "run.json"
    args = ("--report", report, "--metrics-file", tmp_path / "run.prom", "--audit-share", "0.02")
    outcome = score(papers_path, "-o", labels, *args, bundle=cascade_bundle)
    assert outcome.code == 0, outcome.stderr
    found, told = json.loads(report.read_text()), read_provenance(labels)
    check_documented(found, "report")
    assert told is not None
    counts = found["papers"]
    assert f"({counts['screened']:,} screened, {counts['scored'] - counts['screened']:,} scored)" in outcome.stderr
    assert f"audit: {counts['disagreements']} of {counts['audited']} disagree" in outcome.stderr
    assert told["rows"]["screened"] == told["cascade"]["screened_rows"] == counts["screened"]
    assert pl.read_parquet(labels)["screened"].sum() == counts["screened"]
    assert (found["cascade"]["screens"], found["cascade"]["certified_bound"]) == (True, 0.00003)
    audit = Audit(papers=counts["audited"], disagreements=counts["disagreements"], confidence=0.95, allowed=1 / 30_000)
    assert found["cascade"]["audit_bound"] == pytest.approx(audit.bound)
    assert (
        f'\nro32_papers_screened{{target="{labels}"}} {float(counts["screened"])}'
        in (tmp_path / "run.prom").read_text()
    )
    off = score(papers_path, "-o", labels, "--cascade", "off", *args, bundle=cascade_bundle)
    assert off.code == 0
    assert json.loads(report.read_text())["cascade"]["screens"] is False


def test_options_that_cannot_be_met_are_usage_errors(score: Score, source: Path, tmp_path: Path) -> None:
    outcome = score(source, "-o", tmp_path / "labels.parquet", "--cascade", "on")
    assert outcome.code == 2
    assert "no certificate of a cascade" in outcome.stderr
    with pytest.raises(UsageError, match="audit"):
        Settings(audit_share=1.5)


def test_a_summary_of_counts_adds_up(run: Run, papers: pl.DataFrame) -> None:
    counts = run(papers, audit_share=0.1).counts
    assert asdict(counts + counts) == {
        name: 2 * value if isinstance(value, int) else value for name, value in asdict(counts).items()
    }
