"""Values of a graph of one paper, found by running it: their shapes, and those that depend on its length alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from onnx import ModelProto

from export.graph import Array, Graph
from ro32.model.session import INPUT

LENGTH = -1
"""Stands in a shape for t, the number of the paper's tokens."""
UNKNOWN = -2
"""Stands in a shape for a dimension that varies with the length in another way."""
OBSERVED = (7, 11)
"""Two lengths, in tokens, tell what varies; primes, so that no other dimension varies just like both."""
FEW = 16
"""Elements of the longest value that is taken for a shape."""

Shape = tuple[int, ...]


def plain_session(model: ModelProto) -> ort.InferenceSession:
    """Return a session that computes node by node what stands there."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def observe_shapes(graph: Graph) -> Mapping[str, Shape]:
    """Find the shape of every computed value that the outputs need, and of the input.

    The graph's only input is input_ids, of shape (1, t), and no shape in it depends on which tokens these are.
    """
    names = [name for node in graph.in_order() for name in node.output if name]
    session = plain_session(graph.to_model(names))
    runs = [session.run(names, {INPUT: np.arange(length, dtype=np.int64)[None]}) for length in OBSERVED]
    shapes = {name: _combine(*map(np.shape, values)) for name, *values in zip(names, *runs, strict=True)}
    return {INPUT: (1, LENGTH), **shapes}


def _combine(short: Shape, long: Shape) -> Shape:
    return tuple(
        first if first == second else LENGTH if (first, second) == OBSERVED else UNKNOWN
        for first, second in zip(short, long, strict=True)
    )


@dataclass(frozen=True, kw_only=True)
class Value:
    """What one value is at every length from 1 to the longest."""

    longest: Array  # at the longest
    is_constant: bool  # it is that at every length
    number: float | None  # what all of its elements are, at every length
    axis: int | None  # its length along this axis is the paper's, and it is the beginning of `longest`
    as_shape: Sequence[int] | None  # a shape, with -1 where the length stands


def at_every_length(graph: Graph, names: Sequence[str], max_length: int) -> Mapping[str, Value]:
    """Compute values that depend on the number of tokens alone, at every length that a paper can have."""
    if not names:
        return {}
    session = plain_session(graph.to_model(names))

    def at(length: int) -> Iterator[Array]:
        ids = np.zeros((1, length), dtype=np.int64)
        return map(np.asarray, session.run(names, {INPUT: ids} if session.get_inputs() else {}))

    longest = dict(zip(names, at(max_length), strict=True))
    constant = set(names)
    numbers = {name: float(value.flat[0]) for name, value in longest.items() if value.size}
    axes = {name: set(range(value.ndim)) for name, value in longest.items()}
    few: dict[str, list[Array]] = {name: [] for name, value in longest.items() if value.ndim == 1 and value.size <= FEW}
    for length in range(1, max_length + 1):
        for name, value in zip(names, at(length), strict=True):
            full = longest[name]
            if not np.array_equal(value, full):
                constant.discard(name)
            if name in numbers and not (value == full.flat[0]).all():
                del numbers[name]
            axes[name] = {axis for axis in axes[name] if _is_beginning(value, full, axis, length)}
            if name in few:
                few[name].append(value)
    return {
        name: Value(
            longest=full,
            is_constant=name in constant,
            number=numbers.get(name),
            axis=next(iter(axes[name]), None),
            as_shape=_as_shape(few[name]) if name in few else None,
        )
        for name, full in longest.items()
    }


def _is_beginning(value: Array, full: Array, axis: int, length: int) -> bool:
    """Return whether a value is the first `length` elements, along an axis, of another that has as many."""
    return full.shape[axis] >= length and np.array_equal(value, full[(*[slice(None)] * axis, slice(length))])


def _as_shape(values: Sequence[Array]) -> Sequence[int] | None:
    """Read values at lengths 1, 2, ... as one shape; none where they are no shape, or -1 would be ambiguous."""
    if len({value.shape for value in values}) > 1 or not np.issubdtype(values[0].dtype, np.integer):
        return None
    table = np.stack(values)
    varying = (table != table[0]).any(axis=0)
    lengths = np.arange(1, len(table) + 1)
    if not (table[:, varying] == lengths[:, None]).all() or varying.sum() + (table[0] == LENGTH).sum() > 1:
        return None
    return [LENGTH if varies else int(size) for varies, size in zip(varying, table[0], strict=True)]
