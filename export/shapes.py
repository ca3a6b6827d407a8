"""Shapes of all values in a graph of one paper, found by running it at two lengths."""

from collections.abc import Mapping

import numpy as np
import onnxruntime as ort
from onnx import ModelProto

from export.graph import Graph
from ro32.model.session import INPUT

LENGTH = -1
"""Stands in a shape for t, the number of the paper's tokens."""
UNKNOWN = -2
"""Stands in a shape for a dimension that varies with the length in another way."""
OBSERVED = (7, 11)
"""Two lengths, in tokens, tell what varies; primes, so that no other dimension varies just like both."""

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
