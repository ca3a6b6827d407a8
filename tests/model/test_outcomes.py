"""The index of outcomes by content hash."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ro32.model.outcomes import OutcomeIndex, Outcomes

# Few distinct bytes, zero among them: hashes that share beginnings and end in zeros are the hard ones.
hashes = st.lists(st.binary(min_size=16, max_size=16) | st.text("\0\1a", min_size=16, max_size=16).map(str.encode))


def outcome_of(hash_: bytes) -> tuple[float, int, bool]:
    error = hash_[0] % 3
    return float("nan") if error else sum(hash_) / 4096, error, not error and hash_[1] % 2 == 1


def outcomes_of(items: Sequence[tuple[float, int, bool]]) -> Outcomes:
    scores, errors, screened = zip(*items, strict=True) if items else ((), (), ())
    return Outcomes(
        scores=np.array(scores, dtype=np.float32),
        errors=np.array(errors, dtype=np.uint8),
        screened=np.array(screened, dtype=np.bool_),
    )


def as_array(items: list[bytes]) -> np.ndarray[tuple[int], np.dtype[np.bytes_]]:
    return np.frombuffer(b"".join(items), dtype="S16")


@given(st.lists(hashes), hashes)
def test_index_finds_exactly_what_was_added(batches: list[list[bytes]], others: list[bytes]) -> None:
    index = OutcomeIndex()
    for batch in batches:
        index.add(as_array(batch), outcomes_of([outcome_of(item) for item in batch]))
    added = {item for batch in batches for item in batch}
    asked = [*added, *others]
    found, outcomes = index.find(as_array(asked))
    assert found.tolist() == [item in added for item in asked]
    expected = outcomes_of([outcome_of(item) if item in added else (np.nan, 0, False) for item in asked])
    np.testing.assert_array_equal(outcomes.scores, expected.scores)
    np.testing.assert_array_equal(outcomes.errors, expected.errors)
    np.testing.assert_array_equal(outcomes.screened, expected.screened)
    assert len(index) == sum(map(len, batches))


def test_many_small_batches_stay_in_few_arrays() -> None:
    index = OutcomeIndex()
    for number in range(1000):
        index.add(as_array([number.to_bytes(16, "little")]), outcomes_of([(0.5, 0, False)]))
    assert len(index._runs) <= 11
    assert index.find(as_array([number.to_bytes(16, "little") for number in range(1000)]))[0].all()


def test_a_wrong_announcement_is_refused() -> None:
    with pytest.raises(ValueError, match="announced 2 papers, found 1"):
        OutcomeIndex().add_all(2, [(as_array([bytes(16)]), outcomes_of([(0.5, 0, False)]))])
