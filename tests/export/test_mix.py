"""Weights: archives get the shares that arXiv gives them, of today's papers where there are enough."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from export.mix import FEWEST, UNIT, read_shares, weigh
from ro32.data.dates import MONTHS_A_YEAR
from ro32.errors import InputDataError, InputMissingError
from ro32.evaluation.truth import Truth


def papers(**counts: int) -> Truth:
    """So many papers of each archive and year, named as `cs_2026`."""
    named = [name.split("_") for name, count in counts.items() for _ in range(count)]
    categories = sorted({f"{archive}.XX" for archive, _ in named})
    return Truth(
        ids=pa.chunked_array([[str(row) for row in range(len(named))]]),
        listed=np.zeros(len(named), dtype=np.bool_),
        month=np.array([int(year) * MONTHS_A_YEAR + 3 for _, year in named], dtype=np.int32),
        primary=np.array([categories.index(f"{archive}.XX") for archive, _ in named], dtype=np.int32),
        categories=tuple(categories),
        characters=np.zeros(len(named), dtype=np.int32),
    )


def test_archives_get_their_shares() -> None:
    frame = papers(cs_2026=3 * FEWEST, math_2025=FEWEST, math_2003=FEWEST)
    weights = weigh(frame, {"cs": 0.5, "math": 0.5}, np.ones(len(frame), dtype=np.int64))
    assert weights[: 3 * FEWEST].tolist() == [round(UNIT * 0.5 * 4 / 3)] * (3 * FEWEST)
    assert weights[3 * FEWEST : 4 * FEWEST].tolist() == [2 * UNIT] * FEWEST
    assert not weights[4 * FEWEST :].any()  # enough of its papers are of today


def test_an_archive_of_few_papers_is_represented_by_those_of_all_years() -> None:
    frame = papers(cs_2026=FEWEST, nlin_2026=5, nlin_2003=20, econ_2026=3)
    weights = weigh(frame, {"cs": 0.75, "nlin": 0.25}, np.ones(len(frame), dtype=np.int64))
    assert np.unique(weights[FEWEST : FEWEST + 25]).size == 1
    assert weights[FEWEST : FEWEST + 25].sum() / weights.sum() == pytest.approx(0.25, abs=1e-3)
    assert not weights[-3:].any()  # arXiv's mix does not have it


def test_shares_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "shares.csv"
    with pytest.raises(InputMissingError, match="shares"):
        read_shares(path)
    path.write_text("archive,papers\ncs,5\n")
    with pytest.raises(InputDataError, match="share"):
        read_shares(path)
    path.write_text("archive,papers,share\ncs,5,0.4\n")
    assert read_shares(path) == {"cs": 0.4}


@pytest.mark.parametrize("row", ["cs,-1", "cs,"])
def test_a_share_that_is_none_is_refused(row: str, tmp_path: Path) -> None:
    (tmp_path / "shares.csv").write_text(f"archive,share\nmath,0.5\n{row}\n")
    with pytest.raises(InputDataError, match="expected a share of 0 or more"):
        read_shares(tmp_path / "shares.csv")
