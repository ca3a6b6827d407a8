"""An ONNX graph that is being rewritten: producers and consumers of values, and constants."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper

Array = NDArray[Any]


class UnsupportedGraphError(Exception):
    """A graph is not of the kind that a transformation understands; it stays as it is."""


class Graph:
    """An ONNX graph under change, made of a model that is used up; `to_model` writes it down again.

    Values are known by their names, as in ONNX. Constant nodes become initializers, so that a constant is one thing.

    Raises:
        UnsupportedGraphError: A node holds a graph of its own, whose values nobody here would see.
    """

    def __init__(self, model: ModelProto) -> None:
        self._model = model
        self.inputs = list(model.graph.input)
        self.outputs = tuple(item.name for item in model.graph.output)
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, Array] = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
        self._added = 0
        for node in model.graph.node:
            values = attributes(node)
            if any(isinstance(value, GraphProto) for value in values.values()):
                raise UnsupportedGraphError(f"{node.op_type} {node.name} holds a graph of its own")
            if node.op_type == "Constant" and "value" in values:
                self.constants[node.output[0]] = numpy_helper.to_array(values["value"])
            else:
                self.nodes.append(node)

    def producers(self) -> dict[str, NodeProto]:
        """Return the node that makes each computed value."""
        return {name: node for node in self.nodes for name in node.output if name}

    def add_constant(self, value: Array | Sequence[int], hint: str) -> str:
        """Add a constant, of int64 where it is no array, and return its name."""
        name = self._new_name(hint)
        self.constants[name] = np.ascontiguousarray(value, None if isinstance(value, np.ndarray) else np.int64)
        return name

    def add_node(self, op: str, inputs: Iterable[str], hint: str, **values: object) -> str:
        """Add a node of ONNX's own domain with one output, whose name begins with a hint, and return that name."""
        name = self._new_name(hint)
        node = helper.make_node(op, list(inputs), [name], name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in values.items())
        self.nodes.append(node)
        return name

    def replace(self, old: str, new: str) -> None:
        """Let all nodes that use a value use another one instead."""
        for node in self.nodes:
            for slot, name in enumerate(node.input):
                if name == old:
                    node.input[slot] = new

    def in_order(self, outputs: Sequence[str] | None = None) -> Iterator[NodeProto]:
        """Yield the nodes that some values need, by default the outputs, each after those whose values it uses."""
        producers = self.producers()
        done: set[str] = set()
        stack = list(reversed(self.outputs if outputs is None else outputs))
        while stack:
            node = producers.get(stack[-1])
            if node is None or node.output[0] in done:
                stack.pop()
                continue
            missing = [name for name in node.input if name in producers and producers[name].output[0] not in done]
            stack.extend(reversed(missing))
            if not missing:
                done.add(node.output[0])
                yield node

    def to_model(self, outputs: Sequence[str] | None = None) -> ModelProto:
        """Write the graph down, with nothing in it that its outputs, or others instead, do not need."""
        order = list(self.in_order(outputs))
        used = {name for node in order for name in node.input}
        model = ModelProto()
        model.CopyFrom(self._model)
        graph = model.graph
        for field in ("node", "input", "initializer", "value_info"):
            graph.ClearField(field)
        graph.node.extend(order)
        graph.input.extend(item for item in self.inputs if item.name in used)
        graph.initializer.extend(
            numpy_helper.from_array(value, name) for name, value in self.constants.items() if name in used
        )
        if outputs is not None:
            graph.ClearField("output")
            graph.output.extend(helper.make_empty_tensor_value_info(name) for name in outputs)
        return model

    def _new_name(self, hint: str) -> str:
        self._added += 1
        return f"{hint}_ro32_{self._added}"


def attributes(node: NodeProto) -> dict[str, Any]:
    """Return a node's attributes by name."""
    return {item.name: helper.get_attribute_value(item) for item in node.attribute}
