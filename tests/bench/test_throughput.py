"""The throughput report: its subjects, its contestants' processes, what it counts, and how it is shown."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from transformers import BertForSequenceClassification

from bench.measure import BenchError
from bench.report import headline, newest, page, render
from bench.throughput import anatomy, roofline, section
from bench.throughput.contest import draw
from bench.throughput.grow import grow
from bench.throughput.peers import load_transformers, texts_of
from bench.throughput.roofline import useful_operations
from bench.throughput.section import checks
from bench.throughput.subjects import Subject
from bench.throughput.worker import Worker
from export.compare import pytorch_logits, scores_of
from ro32.model.classifier import Classifier
from ro32.model.processor import available_cores
from ro32.model.text import PaperTokenizer
from ro32.run.walk import score_file
from tests.bench.results_of_a_day import FIGURES, content

DATA = Path(__file__).parents[1] / "data"
CHECKPOINT = DATA / "tiny_checkpoint"
SHAPE = {"layers": 2, "hidden": 48, "feed_forward": 96}
THROUGHPUT = content()["sections"]["throughput"]
MACHINE: dict[str, Any] = content()["machine"]


def test_grown_model_says_what_the_small_one_says() -> None:
    small = BertForSequenceClassification.from_pretrained(CHECKPOINT).eval()
    large = grow(small, seed=1)
    assert large.config.hidden_size == 2 * small.config.hidden_size
    assert large.config.num_hidden_layers == 2 * small.config.num_hidden_layers
    input_ids = torch.randint(10, 3_000, (20, 50), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before, after = (model(input_ids=input_ids).logits for model in (small, large))
    assert float((before - after).abs().max()) < 0.25 * float(before.std())
    assert not torch.equal(before, after), "the new layers say nothing at all"


def test_grown_model_is_the_same_for_one_seed() -> None:
    small = BertForSequenceClassification.from_pretrained(CHECKPOINT)
    first, again, other = (grow(small, seed=seed).state_dict() for seed in (1, 1, 2))
    name = "bert.encoder.layer.1.output.dense.weight"
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first[name], other[name])


def test_useful_operations_are_those_of_the_products() -> None:
    """Counted by hand for one paper of three tokens, and a layer of hidden 2, feed-forward 5."""
    projections, feed_forward, attention = 3 * 4 * 2 * 2, 3 * 2 * 2 * 5, 2 * 3 * 3 * 2
    last = 2 * 3 * 2 * 2 + 2 * 2 * 2 + 2 * 2 * 5 + 2 * 3 * 2
    assert useful_operations([3], layers=2, hidden=2, feed_forward=5) == 2 * (
        projections + feed_forward + attention + last
    )
    assert useful_operations([3, 3], layers=2, hidden=2, feed_forward=5) == 2 * useful_operations(
        [3], layers=2, hidden=2, feed_forward=5
    )


def test_peak_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofline, "SECONDS", 0.05)
    found = roofline.peak({"threads": 2, "shape": {"hidden": 64, "feed_forward": 64}})
    assert 1e8 < found["operations_per_s"] < 1e13


def test_no_text_is_twice_in_a_drawn_file(papers_path: Path, tmp_path: Path) -> None:
    source = pl.read_parquet(papers_path).head(300)
    paths = draw(pl.concat([source, source]), tmp_path, papers=100, repeats=4)
    drawn = [set(pl.read_parquet(path)["id"]) for path in paths]
    assert [len(ids) for ids in drawn] == [100] * 4
    assert not drawn[0] & drawn[1]
    assert set().union(*drawn[:3]) >= drawn[3], "there were not enough for a fourth"


def test_process_of_a_contestant_scores_files(source: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    pl.read_parquet(source).head(1).write_parquet(tmp_path / "first.parquet")
    with Worker("ro32", tiny_bundle, tmp_path / "first.parquet", "1") as worker:
        assert worker.cold_start_s["total"] >= worker.cold_start_s["first_paper"] > 0
        answer = worker.score(source, tmp_path / "labels.parquet", "1")
        assert answer["wall_s"] > 0
        assert answer["peak_rss_bytes"] > 10 << 20
        assert pl.read_parquet(tmp_path / "labels.parquet")["score"].len() == 5
        with pytest.raises(BenchError, match="ro32 ended with"):
            worker.score(tmp_path / "none.parquet", tmp_path / "labels.parquet", "1")


def test_pipeline_of_a_peer_gives_the_scores_of_its_checkpoint(source: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoint").symlink_to(CHECKPOINT)
    texts = texts_of(source)
    found = load_transformers(tmp_path)(texts, "2")
    model = BertForSequenceClassification.from_pretrained(CHECKPOINT).eval()
    tokenizer = PaperTokenizer((CHECKPOINT / "tokenizer.json").read_bytes(), max_length=512)
    token_ids = [tokenizer.encode(*text.split("[SEP]", 1)) for text in texts]
    np.testing.assert_allclose(found, scores_of(pytorch_logits(model, token_ids), 1), rtol=0, atol=1e-5)


def test_time_is_taken_apart(source: Path, tiny_bundle: Path) -> None:
    settings = {"bundle": str(tiny_bundle), "files": [str(source)]}
    found = anatomy.score(settings | {"repeat": 0, "threads": 2, "shape": SHAPE})
    assert found["papers_per_s"] == pytest.approx(5 / sum(found["stages_s"].values()))
    assert set(found["stages_s"]) == {"tokenize", "linear view", "model", "other"}
    assert found["operations_per_s"] > 0
    free = anatomy.without_model(settings)
    assert free["papers_per_s"] > 0
    assert free["stages_s"]["tokenize"] > 0
    shares = anatomy.operators(settings)
    assert sum(shares.values()) == pytest.approx(1)
    assert "DynamicQuantizeMatMul" in shares
    by_length = anatomy.lengths(settings)
    assert next(iter(by_length)) == "32"
    assert all(len(seconds) == anatomy.REPEATS for seconds in by_length.values())


def test_measuring_changes_no_score(source: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    plain, timed = (kind.load(tiny_bundle) for kind in (Classifier, anatomy.Timed))
    for name, classifier in (("plain", plain), ("timed", timed)):
        score_file([str(source)], tmp_path / name, classifier=classifier)
    assert pl.read_parquet(tmp_path / "plain").equals(pl.read_parquet(tmp_path / "timed"))


@pytest.mark.parametrize(("vnni", "bound", "holds"), [(True, 15.0, False), (False, 4.5, True)])
def test_bounds_are_those_of_what_took_part(
    monkeypatch: pytest.MonkeyPatch, bound: float, *, vnni: bool, holds: bool
) -> None:
    monkeypatch.setattr(section, "has_vnni", lambda: vnni)
    found = {check["what"]: check for check in checks(FIGURES, 2)}
    against = "BERT-base size, papers/s, ro32 : transformers pipeline, fp32 (32)"
    assert found[against] == {"what": against, "found": 10.0, "at_least": bound, "holds": holds}
    assert not any("OpenVINO" in what for what in found)
    flips = "the model that ships: labels that int8 changes, share of 1,000 papers, by its export"
    assert found[flips] == {"what": flips, "found": 0.002, "at_most": 0.001, "holds": False}


class Links(HTMLParser):
    """Collects what a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.loaded += [f"{tag} {name}={value}" for name, value in attrs if name in {"src", "href", "srcset"}]
        self.loaded += [tag] if tag in {"script", "link", "img", "iframe"} else []
        self.ids += [str(value) for name, value in attrs if name == "id"]


def test_report_has_a_table_of_each_kind() -> None:
    text = render({"throughput": [(MACHINE, THROUGHPUT)]})
    assert "| ro32 | 1 | 40 (39-41) |" in text
    assert "| transformers pipeline, fp32 | 32 | 4 (3.9-4.1) |" in text
    for heading in ("BERT-base size", "Threads, and the processor's peak", "All but the model"):
        assert f"### {heading}" in text
    assert text.index("| ro32 | 1 |") < text.index("| transformers pipeline, fp32 | 32 |"), "the fastest comes first"


def test_page_loads_nothing_and_shows_every_chart() -> None:
    text = page(MACHINE, THROUGHPUT)
    links = Links()
    links.feed(text)
    assert links.loaded == []
    assert len(links.ids) == len(set(links.ids))
    charts = {f"{kind}-{name}" for kind in ("speed", "front", "memory", "start") for name in ("base", "small")}
    assert charts | {"roofline", "threads", "stages", "operators", "by-length"} <= set(links.ids)
    assert "nan" not in text


def test_what_the_page_is_given_is_text() -> None:
    attack = "</title><script src=x></script>"
    measured = content()
    measured["machine"]["processor"] = measured["sections"]["throughput"]["checks"][0]["what"] = attack
    links = Links()
    links.feed(page(measured["machine"], measured["sections"]["throughput"]))
    assert links.loaded == []


def test_headline_is_of_the_main_figures(tmp_path: Path) -> None:
    (tmp_path / "m-2026-01-01.json").write_text(json.dumps(content()))
    said = headline(newest(tmp_path))
    assert said["bert_base_papers_per_s"] == 40
    assert said["bert_base_transformers_papers_per_s"] == 5
    assert said["throughput"] == {"reached": 1, "of": 2}


def test_sections_of_other_benchmarks_stand_beside_it() -> None:
    other = {**THROUGHPUT, "figures": {"wall_s": {"median": 2.0, "q1": 1.0, "q3": 3.0}}, "settings": {"rows": 7}}
    text = render({"nightly": [(MACHINE, other)], "throughput": [(MACHINE, THROUGHPUT)]})
    assert "| wall_s | 2 (1 to 3) |" in text
    assert "### BERT-base size" in text


@pytest.mark.full
def test_anatomy_of_every_model_is_put_together(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(section, "FREE_PAPERS", 50)
    monkeypatch.setattr(section, "PAPERS", {"small": 20, "base": 10})
    subjects = {
        name: Subject(name=subject, folder=tmp_path / subject, shape=SHAPE)
        for name, subject in (("shipped", "small"), ("base", "base"))
    }
    models = {name: (tiny_bundle, subject) for name, subject in subjects.items()}
    found = section.anatomy(models, tmp_path, repeats=2, times=1, say=lambda _: None)
    assert set(found) == set(FIGURES) - {"contest", "bundles", "shipped_export"}
    for name in ("threads", "stages_s", "operators", "length_s"):
        assert set(found[name]) == set(subjects)
    assert found["threads"]["base"]["1"].keys() == FIGURES["threads"]["base"]["1"].keys()
    assert found["without_model"].keys() == FIGURES["without_model"].keys()
    contest = FIGURES["contest"]
    assert checks({**FIGURES, **found, "contest": contest}, available_cores())
