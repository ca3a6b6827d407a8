"""What is computed for the first token alone, operator by operator, on graphs of a few nodes."""

import numpy as np
import onnx.parser
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from onnx import numpy_helper

from export.first_token import read_first_token
from export.graph import Graph
from export.values import LENGTH, observe_shapes, plain_session
from ro32.model.session import INPUT

WIDTH = 4
ATOL = 1e-6
"""Products of fewer rows may add in another order."""
CUT = {
    "sums with what has no tokens": "z = Add(x, row)",
    "sums of two": "a = Mul(x, x)  z = Sub(a, x)",
    "products with a matrix": "z = MatMul(x, matrix)",
    "norms": "z = LayerNormalization <axis = -1> (x, row, row)",
    "softmax over the width": "z = Softmax <axis = -1> (x)",
    "parts of the width": "a, b = Split <axis = -1, num_outputs = 2> (x)  z = Concat <axis = 2> (b, a)",
    "a slice of the width": "a = Slice(x, zero, one_axis, two_axis)  z = Mul(a, row)",
    "axes in another order": "a = Transpose <perm = [2, 0, 1]> (x)  b = Neg(a)  z = Transpose <perm = [1, 2, 0]> (b)",
    "axes in reverse": "a = Transpose (x)  z = Transpose (a)",
    "one axis less": "a = Squeeze(x, zero)  b = Erf(a)  z = Unsqueeze(b, zero)",
    "one axis more": "a = Unsqueeze(x, minus_one)  b = Tanh(a)  z = Squeeze(b, minus_one)",
    "heads": "a = Reshape(x, heads)  b = Relu(a)  z = Reshape(b, joined)",
    "products of vectors by Gemm": "a = Squeeze(x, zero)  b = Gemm(a, matrix, row)  z = Unsqueeze(b, zero)",
    "attention": """
        q = Reshape(x, heads)  qt = Transpose <perm = [0, 2, 1, 3]> (q)
        k = Reshape(x, heads)  kt = Transpose <perm = [0, 2, 3, 1]> (k)
        s = MatMul(qt, kt)  p = Softmax(s)
        v = Reshape(x, heads)  vt = Transpose <perm = [0, 2, 1, 3]> (v)
        c = MatMul(p, vt)  ct = Transpose <perm = [0, 2, 1, 3]> (c)  z = Reshape(ct, joined)""",
}
"""How z comes from x, both of shape (1, t, width), in ways that need of x's tokens no more than z's, or of keys."""
WHOLE = {
    "softmax over tokens": "z = Softmax <axis = 1> (x)",
    "norms over tokens": "z = LayerNormalization <axis = 1> (x, one)",
    "sums over earlier tokens": "z = CumSum (x, one_axis)",
    "tokens folded into the width": "a = Reshape(x, flat)  z = Reshape(a, joined)",
}
"""In ways that mix tokens, or that are not known."""
READ = {
    "by its number": "y = Gather <axis = 1> (z, first)",
    "by a slice": "a9 = Slice(z, zero, one_axis, one_axis)  y = Squeeze(a9, one_axis)",
}


def graph_of(steps: str) -> Graph:
    """Return a graph that looks up x for each token, and does these steps."""
    model = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["": 18]>
        steps (int64[1, t] {INPUT}) => (float[1, {WIDTH}] y) {{ x = Gather(table, {INPUT})  {steps} }}"""
    )
    rng = np.random.default_rng(1)
    constants = {
        "table": rng.normal(size=(32, WIDTH)).astype(np.float32),
        "matrix": rng.normal(size=(WIDTH, WIDTH)).astype(np.float32),
        "row": rng.normal(size=WIDTH).astype(np.float32),
        "one": np.ones((1, WIDTH), dtype=np.float32),
        "first": np.array(0),
        "zero": np.array([0]),
        "one_axis": np.array([1]),
        "two_axis": np.array([2]),
        "minus_one": np.array([-1]),
        "heads": np.array([1, -1, 2, WIDTH // 2]),
        "joined": np.array([1, -1, WIDTH]),
        "flat": np.array([1, -1]),
    }
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    return Graph(model)


def logits(graph: Graph, length: int) -> np.ndarray:
    ids = np.random.default_rng(length).integers(0, 32, (1, length))
    (found,) = plain_session(graph.to_model()).run(None, {INPUT: ids})
    return np.asarray(found)


@pytest.mark.parametrize("read", READ)
@pytest.mark.parametrize("steps", CUT)
def test_only_the_first_token_is_computed(steps: str, read: str) -> None:
    graph = graph_of(f"{CUT[steps]}  {READ[read]}")
    expected = logits(graph, 9)
    read_first_token(graph)
    assert_allclose(logits(graph, 9), expected, rtol=0, atol=ATOL)
    assert LENGTH not in observe_shapes(graph)["z"]


def test_a_slice_that_names_no_axes_is_of_the_first() -> None:
    graph = graph_of("z = MatMul(x, matrix)  a = Slice(z, zero, one_axis)  y = Gather <axis = 1> (a, first)")
    expected = logits(graph, 9)
    assert read_first_token(graph) == 0
    assert_array_equal(logits(graph, 9), expected)


@pytest.mark.parametrize("steps", WHOLE)
def test_what_mixes_tokens_is_computed_for_all(steps: str) -> None:
    graph = graph_of(f"{WHOLE[steps]}  {READ['by its number']}")
    expected = logits(graph, 9)
    assert read_first_token(graph) == 0
    assert_array_equal(logits(graph, 9), expected)
    assert LENGTH in observe_shapes(graph)["z"]


def test_what_others_need_in_full_is_computed_once() -> None:
    graph = graph_of("""
        z = MatMul(x, matrix)  top = ReduceMax <keepdims = 0> (z, one_axis)
        read = Gather <axis = 1> (z, first)  y = Add(read, top)""")
    expected = logits(graph, 9)
    assert read_first_token(graph) == 0
    assert_array_equal(logits(graph, 9), expected)
    assert [node.op_type for node in graph.in_order()].count("MatMul") == 1
