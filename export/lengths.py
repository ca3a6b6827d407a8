"""Folds values that depend only on the number of tokens: masks, token types, positions and shapes.

Such values are found by what they depend on, and computed at every length that a paper can have. So what takes their
place is known to be equal, whatever architecture they come from.
"""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from onnx import NodeProto, TensorProto, helper

from export.graph import Array, Graph, UnsupportedGraphError, attributes
from export.values import LENGTH, UNKNOWN, Shape, Value, at_every_length, observe_shapes
from ro32.model.session import FILLED, INPUT

NEUTRAL = {"Add": 0, "Sub": 0, "Mul": 1, "Div": 1}
"""Operators that give their first input back when the second holds nothing but this number."""
SHAPED_BY_ALL = frozenset({"ConstantOfShape", "Range", "NonZero", "Compress", "Unique"})
SHAPED_BY_REST = frozenset({"Reshape", "Expand", "Slice", "Tile", "Pad", "TopK", "OneHot", "Resize"})
"""Operators whose output has a shape that stands in the values of all their inputs, or of all but the first."""
MAX_TABLE = 1 << 20
"""Largest table to store, in elements: positions take length times width, biases of all pairs of positions more."""


def one_paper(graph: Graph) -> None:
    """Leave input_ids as the only input, of shape (1, t); the others are what they are for one unpadded paper.

    Raises:
        UnsupportedGraphError: The graph has inputs of other names, or shapes in it depend on which tokens it reads.
    """
    names = [item.name for item in graph.inputs]
    others = [name for name in names if name != INPUT]
    if INPUT not in names or not set(others) <= set(FILLED):
        raise UnsupportedGraphError(f"expected the inputs {INPUT}, {', '.join(FILLED)}, found {', '.join(names)}")
    shape = graph.add_node("Shape", [INPUT], "shape")
    for name in others:
        value = helper.make_tensor("value", TensorProto.INT64, [1], [FILLED[name]])
        graph.replace(name, graph.add_node("ConstantOfShape", [shape], name, value=value))
    graph.inputs = [helper.make_tensor_value_info(INPUT, TensorProto.INT64, [1, "t"])]
    of_tokens = _of_tokens(graph)
    for node in graph.nodes:
        shaping = node.input if node.op_type in SHAPED_BY_ALL else node.input[1:]
        if node.op_type in SHAPED_BY_ALL | SHAPED_BY_REST and of_tokens.intersection(shaping):
            raise UnsupportedGraphError(f"the shape that {node.op_type} {node.name} gives depends on the tokens")


def fold_lengths(graph: Graph, max_length: int) -> None:
    """Replace values that depend on the number of tokens alone, where something simpler is equal at every length.

    Constants take the place of what never varies, slices of a stored table that of positions; a mask of zeros is not
    added, and a shape has -1 where the length stands. The graph, one of `one_paper`, then refuses longer papers.
    """
    shapes = observe_shapes(graph)
    _shapes_from_length(graph, shapes)
    _add_to_each_other(graph)
    of_tokens = _of_tokens(graph)
    users = [node for node in graph.in_order() if of_tokens.intersection(node.output)]
    computed = graph.producers()
    names = [name for node in users for name in node.input if name in computed and name not in of_tokens]
    found = at_every_length(graph, list(dict.fromkeys(names)), max_length)
    tables: dict[str, str] = {}
    for node in users:
        shape = shapes.get(node.output[0], (UNKNOWN,))
        for slot, name in enumerate(node.input):
            if name not in found:
                continue
            value = found[name]
            kept = _kept(node, slot, value)
            if kept is not None and shapes.get(kept) == shape and UNKNOWN not in shape:
                graph.replace(node.output[0], kept)
                break
            if node.op_type == "Reshape" and value.as_shape is not None:
                node.input[slot] = graph.add_constant(value.as_shape, "shape")
            elif name in tables:
                node.input[slot] = tables[name]
            elif value.is_constant:
                node.input[slot] = tables[name] = graph.add_constant(value.longest, "constant")
            elif value.axis is not None and value.longest.size <= MAX_TABLE:
                node.input[slot] = tables[name] = _slice(graph, value.longest, value.axis)


def _of_tokens(graph: Graph) -> set[str]:
    """Return the values that depend on which tokens the input holds, not on their number alone."""
    found = {INPUT}
    for node in graph.in_order():
        if node.op_type not in {"Shape", "Size"} and found.intersection(node.input):
            found.update(node.output)
    return found


def _shapes_from_length(graph: Graph, shapes: Mapping[str, Shape]) -> None:
    """Compute shapes from that of the input, so that what depends on them alone needs nothing else."""
    length = graph.add_node("Shape", [INPUT], "length", start=1, end=2)
    for node in [node for node in graph.in_order() if node.op_type == "Shape" and node.input[0] != INPUT]:
        shape = shapes.get(node.input[0], (UNKNOWN,))
        if UNKNOWN in shape:
            continue
        values = attributes(node)
        dims = np.array(shape[values.get("start") : values.get("end")], dtype=np.int64)
        times = graph.add_constant((dims == LENGTH).astype(np.int64), "times")
        varying = graph.add_node("Mul", [length, times], "shape")
        plus = graph.add_constant(np.where(dims == LENGTH, 0, dims), "plus")
        graph.replace(node.output[0], graph.add_node("Add", [varying, plus], "shape"))


def _add_to_each_other(graph: Graph) -> None:
    """Turn (x + a) + b into x + (a + b) where the tokens decide neither a nor b: token types and positions."""
    of_tokens, producers = _of_tokens(graph), graph.producers()
    uses = Counter([*graph.outputs, *(name for node in graph.nodes for name in node.input)])

    def parts(node: NodeProto) -> tuple[str, str] | None:
        """Return the operand that depends on the tokens, and the one that does not."""
        if node.op_type != "Add" or len(of_tokens.intersection(node.input)) != 1:
            return None
        first, second = node.input
        return (first, second) if first in of_tokens else (second, first)

    for node in list(graph.in_order()):
        outer = parts(node)
        inner = None if outer is None or uses[outer[0]] > 1 or outer[0] not in producers else parts(producers[outer[0]])
        if outer is not None and inner is not None:
            node.input[:] = [inner[0], graph.add_node("Add", [inner[1], outer[1]], "sum")]


def _kept(node: NodeProto, slot: int, value: Value) -> str | None:
    """Return the input that a node passes on unchanged, but for its shape, because of one of its other inputs."""
    op, number = node.op_type, value.number
    if op == "Expand" and slot == 1:
        return str(node.input[0])
    if number is None:
        return None
    if op == "Where" and slot == 0:
        return str(node.input[1 if number else 2])
    if op in NEUTRAL and number == NEUTRAL[op] and (slot == 1 or op in {"Add", "Mul"}):
        return str(node.input[1 - slot])
    return None


def _slice(graph: Graph, table: Array, axis: int) -> str:
    """Add the first t elements of a table along an axis."""
    length = graph.add_node("Shape", [INPUT], "length", start=1, end=2)
    start, along = (graph.add_constant([number], "number") for number in (0, axis))
    return graph.add_node("Slice", [graph.add_constant(table, "table"), start, length, along], "slice")
