"""The limit of the processor: the peak rate of int8 products, and the number of products per paper."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

ROWS = 200  # tokens of an ordinary paper
SECONDS = 1.5  # that a measurement of the peak takes


def useful_operations(tokens: Sequence[int], *, layers: int, hidden: int, feed_forward: int) -> float:
    """Count the operations of a BERT's products that its logits need, a multiplication and an addition being two.

    Of the last layer that are keys and values of all tokens, and the rest of the first token alone. Products of
    attention are counted too; norms, activations, scaling and the head, which has one row, are not.
    """
    t = np.asarray(tokens, dtype=np.float64)
    token = 4 * hidden**2 + 2 * hidden * feed_forward
    whole = t * token + 2 * t**2 * hidden
    last = 2 * t * hidden**2 + (token - 2 * hidden**2) + 2 * t * hidden
    return float(2 * ((layers - 1) * whole + last).sum())


def peak(settings: dict[str, Any]) -> dict[str, Any]:
    """Measure operations_per_s of the feed-forward's first product alone, uint8 by int8, on several threads at once."""
    inner, columns, threads = settings["shape"]["hidden"], settings["shape"]["feed_forward"], settings["threads"]
    session = _product(inner, columns)
    rng = np.random.default_rng(0)

    def work(seconds: float) -> tuple[int, float]:
        values = rng.integers(0, 255, (ROWS, inner), dtype=np.uint8)
        count, started = 0, time.perf_counter()
        while (spent := time.perf_counter() - started) < seconds:
            for _ in range(20):
                session.run(None, {"a": values})
            count += 20
        return count, spent

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, [SECONDS / 5] * threads))
        done = list(pool.map(work, [SECONDS] * threads))
    each = 2 * ROWS * inner * columns
    return {"operations_per_s": sum(each * count / spent for count, spent in done)}


def _product(inner: int, columns: int) -> ort.InferenceSession:
    weights = np.random.default_rng(0).integers(-127, 127, (inner, columns), dtype=np.int8)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, [ROWS, inner])],
        [helper.make_tensor_value_info("c", TensorProto.INT32, [ROWS, columns])],
        [helper.make_tensor("b", TensorProto.INT8, weights.shape, weights.tobytes(), raw=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
