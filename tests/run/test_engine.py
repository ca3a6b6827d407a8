"""The local engine: how rows are handed to threads."""

import numpy as np
import pytest

from ro32.run.engine import cut_into_chunks


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("rows", [0, 1, 5, 64, 1_000])
def test_chunks_are_all_rows_in_order_and_no_larger_than_allowed(rows: int, threads: int) -> None:
    given = np.arange(rows) * 3
    chunks = list(cut_into_chunks(given, least=1, most=16, threads=threads))
    assert np.array_equal(np.concatenate([given[:0], *chunks]), given)
    assert all(1 <= len(chunk) <= 16 for chunk in chunks)


def test_the_last_chunks_are_small_so_that_threads_end_together() -> None:
    sizes = [len(chunk) for chunk in cut_into_chunks(np.arange(500), least=1, most=16, threads=2)]
    assert sizes[0] == 16
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-4:] == [1, 1, 1, 1]


def test_no_chunk_but_the_last_is_smaller_than_is_worth_handing_over() -> None:
    sizes = [len(chunk) for chunk in cut_into_chunks(np.arange(1_003), least=16, most=256, threads=2)]
    assert min(sizes[:-1]) == 16
    assert sizes[0] == 251
