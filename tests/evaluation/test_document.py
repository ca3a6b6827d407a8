"""The JSON is what its published schema says, and the schema says all of it."""

import json
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest

from ro32.evaluation.document import VERSION, document
from ro32.evaluation.results import Results

SCHEMA = Path(__file__).parents[2] / "docs" / "ro32-eval.schema.json"


def strict(schema: Any) -> Any:
    """Forbid fields that the schema does not name, where it allows them for later versions."""
    if isinstance(schema, dict):
        closed = {key: strict(value) for key, value in schema.items()}
        return closed | ({"additionalProperties": False} if schema.get("additionalProperties") is True else {})
    return [strict(item) for item in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize("which", ["one_model", "two_models", "explained", "hostile"])
def test_document_is_as_described(which: str, request: pytest.FixtureRequest) -> None:
    found = document(request.getfixturevalue(which))
    validate = fastjsonschema.compile(strict(json.loads(SCHEMA.read_text(encoding="utf-8"))))
    validate(json.loads(json.dumps(found, allow_nan=False)))
    assert found["version"] == VERSION


def test_schema_names_the_version() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert schema["properties"]["version"] == {"const": VERSION}


def test_shown_papers_are_the_disagreements(one_model: Results) -> None:
    (model,) = document(one_model)["models"]
    found = model["disagreements"]
    assert len(found["shown_candidates"]) == min(found["candidates"], one_model.examples)
    assert found["candidates"] == model["confusion"]["fp"]
    assert found["missed"] == model["confusion"]["fn"]
    for paper in found["shown_candidates"]:
        assert not paper["listed"]
        assert "cs.RO" not in paper["categories"]
        assert paper["scores"][model["name"]] >= model["threshold"]
    for paper in found["shown_missed"]:
        assert paper["listed"]
        assert paper["scores"][model["name"]] < model["threshold"]


def test_flips_have_both_scores_and_sides(two_models: Results) -> None:
    found = document(two_models)
    (comparison,) = found["comparisons"]
    assert comparison["flips"] == comparison["better"] + comparison["worse"] > 0
    names = {model["name"] for model in found["models"]}
    assert all(set(paper["scores"]) == names for paper in comparison["shown_flips"])


def test_explanations_have_every_word_and_no_number_that_json_lacks(explained: Results) -> None:
    (model,) = document(explained)["models"]
    kinds = [model["disagreements"][kind] for kind in ("shown_candidates", "shown_missed")]
    assert [sum("explanations" in paper for paper in papers) for papers in kinds] == [3, 3]
    for paper in (papers[0] for papers in kinds):
        found = paper["explanations"][model["name"]]
        assert found["score"] == paper["scores"][model["name"]]
        assert len(found["words"]) > 20
        effects = [abs(word["log_odds"] or 0) for word in found["words"]]
        assert effects == sorted(effects, reverse=True)
