"""Reduces a graph to the results that the classifier reads: in the last layer, only the first token.

The head reads one token of the last hidden state. What is computed for the other tokens and reaches nothing else is not
computed: in a BERT, the last layer's query, output projection, feed-forward and norms. Which parts these are follows
from how operators treat rows, not from the names of an architecture.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from onnx import NodeProto

from export.cuts import Axes, Part, inputs_of_part
from export.graph import Array, Graph, attributes
from export.values import LENGTH, Shape, observe_shapes


def read_first_token(graph: Graph) -> int:
    """Compute the first token alone wherever only that is read, in a graph whose input is input_ids, (1, t).

    Returns:
        How many matrix products became shorter; 0 where the graph reads all tokens, and stays as it is.
    """
    shapes = observe_shapes(graph)
    order = list(graph.in_order())
    cut = _find(graph, order, shapes)
    cut_values = {name for node in order if node.output[0] in cut for name in node.output}
    firsts: dict[tuple[str, int], str] = {}
    for node in order:
        if node.output[0] not in cut:
            continue
        axis, needs = cut[node.output[0]]
        for slot, (name, need) in enumerate(zip(node.input, needs, strict=True)):
            if need is not None and name not in cut_values:
                if (name, need) not in firsts:
                    firsts[name, need] = _first(graph, name, need)
                node.input[slot] = firsts[name, need]
        if node.op_type == "Reshape":
            target = [1 if at == axis else size for at, size in enumerate(shapes[node.output[0]])]
            node.input[1] = graph.add_constant(target, "shape")
    return sum(node.op_type in {"MatMul", "Gemm"} and node.output[0] in cut for node in order)


def _find(graph: Graph, order: Sequence[NodeProto], shapes: Mapping[str, Shape]) -> dict[str, tuple[int, Axes]]:
    """Find the nodes of whose output only the first element along an axis is read.

    By name of their first output: the axis, and what the node then needs of its inputs.
    """
    read: dict[str, set[int | None]] = defaultdict(set, {name: {None} for name in graph.outputs})
    cut: dict[str, tuple[int, Axes]] = {}
    shapes = {**shapes, **{name: value.shape for name, value in graph.constants.items()}}
    for node in reversed(order):
        constants = [graph.constants.get(name) for name in node.input]
        known = [shapes.get(name, ()) for name in node.input]
        axes = set[int | None]().union(*(read[name] for name in node.output))
        axis = axes.pop() if len(axes) == 1 else None
        needs: Axes | None = None
        if axis is not None:
            output, values = shapes[node.output[0]], attributes(node)
            part = Part(axis=axis, output=output, inputs=known, constants=constants, values=values)
            needs = inputs_of_part(node.op_type, part)
        if axis is None or needs is None:
            needs = [_axis_read(node, known[0], constants), *[None] * (len(node.input) - 1)] if known else []
        else:
            cut[node.output[0]] = axis, needs
        for name, need in zip(node.input, needs, strict=True):
            read[name].add(need)
    return cut


def _axis_read(node: NodeProto, data: Shape, constants: Sequence[Array | None]) -> int | None:
    """Return the axis of tokens of which a node reads the first alone; none where it reads more."""
    if node.op_type == "Gather":
        axis, index = attributes(node).get("axis", 0), constants[1]
        is_first = index is not None and not index.any()
    elif node.op_type == "Slice" and all(value is not None and value.size == 1 for value in constants[1:]):
        start, end, axis = (int(value.flat[0]) for value in (*constants[1:4], np.zeros(1))[:3] if value is not None)
        is_first = (start, end) == (0, 1)
    else:
        return None
    return axis % len(data) if is_first and data[axis] == LENGTH else None


def _first(graph: Graph, name: str, axis: int) -> str:
    """Add the first element of a value along an axis, which stays, with size 1."""
    bounds = (graph.add_constant([number], "number") for number in (0, 1, axis))
    return graph.add_node("Slice", [name, *bounds], "first")
