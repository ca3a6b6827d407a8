"""Which words moved a score: by scoring without them, and in no other way."""

import json
import math
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ro32.evaluation.explain import explain
from ro32.model.bundle import shipped_folder
from ro32.model.classifier import Classifier
from tests.command_line import Score

TITLE, ABSTRACT = "Robot-arm grasping", "A robot grasps. The ROBOT can't fail; robots do."


def test_every_word_is_taken_out_at_all_its_places(classifier: Classifier) -> None:
    effects = {effect.word: effect for effect in explain(classifier, TITLE, ABSTRACT, threads=1)}
    assert set(effects) == {"robot-arm", "grasping", "a", "robot", "grasps", "the", "can't", "fail", "robots", "do"}
    assert effects["robot"].places == 2
    without = "A  grasps. The  can't fail; robots do."
    expected = classifier.predict_proba(titles=[TITLE], abstracts=[without])[0, classifier.manifest.positive_index]
    assert effects["robot"].score_without == expected


def test_effects_are_differences_of_log_odds_and_the_strongest_come_first(classifier: Classifier) -> None:
    effects = explain(classifier, TITLE, ABSTRACT)
    score = float(classifier.predict_proba(titles=[TITLE], abstracts=[ABSTRACT])[0, classifier.manifest.positive_index])
    for effect in effects:
        expected = math.log(score / (1 - score)) - math.log(effect.score_without / (1 - effect.score_without))
        assert effect.log_odds == pytest.approx(expected, abs=1e-6)
    assert [abs(effect.log_odds) for effect in effects] == sorted((abs(e.log_odds) for e in effects), reverse=True)
    assert len({effect.log_odds for effect in effects}) > 5, "a model that no word moves would pass all of this"


def test_a_paper_of_one_word_has_nothing_left(classifier: Classifier) -> None:
    (effect,) = explain(classifier, "Robots", "")
    assert math.isnan(effect.score_without)


def test_the_command_explains_and_writes_nothing(score: Score, tmp_path: Path) -> None:
    rows = [("1", TITLE, ABSTRACT), ("2", "", None), ("3", "Robots", "")]
    pl.DataFrame(rows, schema=["id", "title", "abstract"], orient="row").write_parquet(tmp_path / "papers.parquet")
    before = sorted(tmp_path.iterdir())
    done = score(
        tmp_path / "papers.parquet", "-o", tmp_path / "labels.parquet", "--explain", "3", bundle=shipped_folder()
    )
    assert (done.code, done.stderr) == (0, "")
    first, second, third = done.stdout.strip().split("\n\n")
    assert first.startswith("1: cs.RO, score ")
    assert second == "2: no score, since there is no text"
    assert third.splitlines()[1:] == ["    [+Robots]", "             robots; without it no score"]
    lines = first.splitlines()
    assert lines[1].replace("[+", "").replace("[-", "").replace("]", "").strip() == TITLE
    marked = {word.lower() for line in lines[1:3] for word in re.findall(r"\[[+-]([^]]+)\]", line)}
    assert marked == {line.split()[1].strip(";,") for line in lines[3:]} != set()
    assert sorted(tmp_path.iterdir()) == before


def test_json_has_every_word(score: Score, papers: pl.DataFrame, classifier: Classifier, tmp_path: Path) -> None:
    papers.write_parquet(tmp_path / "papers.parquet")
    done = score(tmp_path / "papers.parquet", "-o", tmp_path / "labels.parquet", "--explain", "2", "--json")
    found = json.loads(done.stdout)
    assert [paper["id"] for paper in found] == papers["id"].head(2).to_list()
    expected = explain(classifier, found[0]["title"], found[0]["abstract"])
    assert [word["word"] for word in found[0]["words"]] == [effect.word for effect in expected]
    scores = classifier.predict_proba(
        titles=papers["title"].head(2).to_list(), abstracts=papers["abstract"].head(2).to_list()
    )
    assert np.array_equal(
        np.array([paper["score"] for paper in found], dtype=np.float32), scores[:, classifier.manifest.positive_index]
    )
