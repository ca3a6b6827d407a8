"""Dependencies of ONNX operators along one axis: which part of the inputs a part of the output needs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from export.graph import Array
from export.values import LENGTH, UNKNOWN, Shape

PRIME = 1_000_003
"""Stands for the length in products of dimensions."""
POINTWISE = (
    *("Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Where", "Equal", "Less", "Greater", "And", "Or", "Not", "Mod"),
    *("Erf", "Tanh", "Sigmoid", "Relu", "LeakyRelu", "Elu", "Gelu", "Softplus", "Exp", "Log", "Sqrt", "Reciprocal"),
    *("Abs", "Neg", "Cast", "Identity", "Sin", "Cos"),
)
"""Operators that compute each element from those at the same place, after broadcasting."""
Axes = Sequence[int | None]
"""For each input of a node: the axis along which one element is enough; none where all of the input is needed."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A node of whose output only one element along an axis is wanted."""

    axis: int
    output: Shape  # of its first output; as long as the paper along the axis
    inputs: Sequence[Shape]
    constants: Sequence[Array | None]  # values of its inputs, where they are constant
    values: Mapping[str, Any]  # its attributes

    def first_input(self, axis: int) -> Axes:
        """Say that it needs one element along an axis of its first input, and all of the others."""
        return [axis, *[None] * (len(self.inputs) - 1)]


def inputs_of_part(op: str, part: Part) -> Axes | None:
    """Return the parts of its inputs that a node needs; none if that is not known, or if it needs all."""
    if op not in _RULES or part.output[part.axis] != LENGTH or any(UNKNOWN in shape for shape in part.inputs):
        return None
    axes = _RULES[op](part)
    if axes is None or any(axis is not None and part.inputs[at][axis] != LENGTH for at, axis in enumerate(axes)):
        return None
    return axes


def _pointwise(part: Part) -> Axes:
    return [_aligned(part, shape) for shape in part.inputs]


def _aligned(part: Part, shape: Shape) -> int | None:
    """Return the axis that broadcasting lays upon the output's; none where the input has one element there."""
    axis = part.axis - (len(part.output) - len(shape))
    return axis if axis >= 0 and shape[axis] != 1 else None


def _before_axis(part: Part) -> Axes | None:
    """Softmax, LayerNormalization: all axes before the one that the attribute names are treated alike."""
    return part.first_input(part.axis) if part.axis < part.values.get("axis", -1) % len(part.output) else None


def _split(part: Part) -> Axes | None:
    return part.first_input(part.axis) if part.axis != part.values.get("axis", 0) % len(part.output) else None


def _concat(part: Part) -> Axes | None:
    return [part.axis] * len(part.inputs) if part.axis != part.values["axis"] % len(part.output) else None


def _slice(part: Part) -> Axes | None:
    axes = _axes(part, len(part.output), at=3)
    return None if axes is None or part.axis in axes else part.first_input(part.axis)


def _matmul(part: Part) -> Axes | None:
    left, right = part.inputs
    if min(len(left), len(right)) < 2:  # noqa: PLR2004 - vectors
        return None
    rows, columns = len(part.output) - 2, len(part.output) - 1
    return [
        None if part.axis == columns else _aligned(part, left),
        None if part.axis == rows else _aligned(part, right),
    ]


def _gemm(part: Part) -> Axes | None:
    if part.axis != 0 or part.values.get("transA", 0):
        return None
    return [0, None, *(_aligned(part, shape) for shape in part.inputs[2:])]


def _transpose(part: Part) -> Axes:
    return [part.values.get("perm", range(len(part.output))[::-1])[part.axis]]


def _reshape(part: Part) -> Axes | None:
    """Find the input's axis that has as many elements before and after it as the output's."""

    def elements(shape: Shape) -> int:
        return prod(PRIME if size == LENGTH else size for size in shape)

    before, data = elements(part.output[: part.axis]), part.inputs[0]
    axes = [axis for axis, size in enumerate(data) if size == LENGTH and elements(data[:axis]) == before]
    return part.first_input(axes[0]) if axes and part.output.count(LENGTH) == 1 else None


def _unsqueeze(part: Part) -> Axes | None:
    rank = len(part.output)
    added = _axes(part, rank)
    return None if added is None else part.first_input(sorted(set(range(rank)) - added).index(part.axis))


def _squeeze(part: Part) -> Axes | None:
    rank = len(part.inputs[0])
    removed = _axes(part, rank)
    return None if removed is None else part.first_input(sorted(set(range(rank)) - removed)[part.axis])


def _axes(part: Part, rank: int, at: int = 1) -> set[int] | None:
    """Read the axes that one of the inputs names; none where it is missing or computed."""
    axes = part.constants[at] if len(part.constants) > at else None
    return None if axes is None else {int(axis) % rank for axis in axes}


_RULES: Mapping[str, Callable[[Part], Axes | None]] = {
    **dict.fromkeys(POINTWISE, _pointwise),
    **dict.fromkeys(("Softmax", "LayerNormalization"), _before_axis),
    "Split": _split,
    "Concat": _concat,
    "Slice": _slice,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
}
