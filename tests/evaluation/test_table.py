"""What `ro32-eval` prints."""

from dataclasses import replace

import pytest

from ro32.evaluation import table
from ro32.evaluation.results import Results
from ro32.evaluation.slices import Dimension


def test_columns_are_aligned_one_a_model(two_models: Results) -> None:
    lines = table.overall(two_models).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[0].split()[-1] == "stricter"
    assert lines[5].startswith("F1  ")


def test_one_model_is_compared_with_nobody(one_model: Results) -> None:
    assert table.compared(one_model) == ""


@pytest.mark.parametrize("dimension", Dimension)
def test_groups_have_a_row_each(one_model: Results, dimension: Dimension) -> None:
    lines = table.by(one_model, dimension).splitlines()
    groups = one_model.evaluations[0].slices[dimension]
    shown = min(len(groups), table.GROUPS) if dimension is Dimension.CATEGORY else len(groups)
    assert [line.split("  ")[0] for line in lines[1 : shown + 1]] == [group.group for group in groups[:shown]]
    assert (len(lines) == shown + 2) == (len(groups) > shown)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.3205, "0.3205"), (0.99998, "0.99998"), (0.00001234, "0.00001"), (1.0, "1.0000"), (0.5, "0.5000")],
)
def test_thresholds_have_digits_enough(value: float, expected: str) -> None:
    assert table.threshold_text(value) == expected


def test_what_a_group_does_not_define_is_a_dash(one_model: Results) -> None:
    groups = one_model.evaluations[0].slices[Dimension.CATEGORY]
    empty = next(group for group in groups if not group.listed and not group.confusion.fp)
    item = replace(one_model.evaluations[0], slices={Dimension.CATEGORY: [empty]})
    lines = table.by(replace(one_model, evaluations=(item,)), Dimension.CATEGORY).splitlines()
    assert lines[1].split()[-4:] == ["-", "-", "-", "-"]
