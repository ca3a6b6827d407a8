"""Removes the batch axis from the attention, so that onnxruntime can multiply heads in place.

One paper's queries, keys and values have the shape (1, t, heads, width), and are transposed to (1, heads, t, width)
before they are multiplied. onnxruntime's optimizer merges such a transposition into the product, which then reads heads
with a stride; but only if no batch axis is in front.
"""

from collections.abc import Mapping

from onnx import NodeProto, helper

from export.cuts import POINTWISE
from export.graph import Graph, attributes
from export.values import LENGTH, Shape, observe_shapes

RANK = 4
"""Axes of what attention computes with: batch, tokens, heads, width."""


def drop_batch_axis(graph: Graph) -> int:
    """Let values of shape (1, a, b, c) have the shape (a, b, c), wherever that makes no other difference.

    The graph's only input is input_ids, of shape (1, t). Returns how many values lost the axis.
    """
    shapes = observe_shapes(graph)
    nodes = list(graph.in_order())
    dropped = {name for name, shape in shapes.items() if len(shape) == RANK and shape[0] == 1} - set(graph.outputs)
    while kept := {name for node in nodes for name in _kept(graph, node, dropped, shapes)}:
        dropped -= kept
    for node in nodes:
        if node.output[0] not in dropped:
            continue
        if node.op_type == "Reshape":
            node.input[1] = graph.add_constant(shapes[node.output[0]][1:], "shape")
        elif node.op_type == "Transpose":
            _set(node, "perm", [axis - 1 for axis in attributes(node)["perm"][1:]])
        elif node.op_type == "Softmax":
            _set(node, "axis", attributes(node).get("axis", -1) % RANK - 1)
    return len(dropped)


def _kept(graph: Graph, node: NodeProto, dropped: set[str], shapes: Mapping[str, Shape]) -> set[str]:
    """Return the values among those to be changed that a node cannot make, or use, without the axis."""
    output, inputs = node.output[0], dropped.intersection(node.input)
    if node.op_type == "Reshape":
        target = graph.constants.get(node.input[1])
        if target is None or (target == 0).any():  # 0 copies the size of the input's axis
            return inputs | dropped.intersection([output])
        return dropped.intersection([output]) if shapes[output].count(LENGTH) > 1 else set()
    if output in dropped and _is_alike(graph, node, dropped, shapes):
        return set()
    return inputs | dropped.intersection(node.output)


def _is_alike(graph: Graph, node: NodeProto, dropped: set[str], shapes: Mapping[str, Shape]) -> bool:
    """Return whether a node computes the same without the axis, when all its inputs of four axes have lost it."""
    if node.op_type == "Transpose":
        fits = attributes(node).get("perm", [RANK])[0] == 0
    elif node.op_type == "Softmax":
        fits = attributes(node).get("axis", -1) % RANK > 0
    else:
        fits = node.op_type in {"MatMul", *POINTWISE}
    constants = graph.constants
    ranks = (constants[name].ndim if name in constants else len(shapes[name]) for name in {*node.input} - dropped)
    return fits and all(rank < RANK for rank in ranks)


def _set(node: NodeProto, name: str, value: object) -> None:
    kept = [item for item in node.attribute if item.name != name]
    node.ClearField("attribute")
    node.attribute.extend([*kept, helper.make_attribute(name, value)])
