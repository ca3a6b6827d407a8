"""The graph of one paper: the same logits as the exporter's graph, by fewer operations, for encoders of many kinds."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from onnx import TensorProto, helper
from transformers import (
    AlbertConfig,
    AutoModelForSequenceClassification,
    BertConfig,
    DebertaConfig,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    MPNetConfig,
    PretrainedConfig,
    RobertaConfig,
)

from export.convert import convert, convert_model, input_names, quantize
from export.simplify import simplify
from ro32.evaluation.checkpoint import Checkpoint
from ro32.model.session import FILLED, INPUT

# What transformers' encoders warn of when they are loaded and traced: not of ours, nor of what we do with them.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]
ROOT = Path(__file__).parents[2]
ATOL = 1e-5
"""Largest |logit difference|; found 4e-7, with logits of about 1."""
LENGTHS = (1, 2, 3, 16, 17, 63, 64)
"""Tokens, up to the longest paper of the small encoders; some of them have a window of 16 tokens."""
VOCABULARY = 200
PRODUCTS_OF_A_LAYER = 6
"""Query, scores, context, output projection, and the two of the feed-forward; keys and values are of all tokens."""

COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": max(LENGTHS) + 2,  # some begin to count at 2
}
MODERN = COMMON | {"local_attention": 16, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
MODERN |= {"cls_token_id": 1, "sep_token_id": 2, "reference_compile": False}
ENCODERS: dict[str, tuple[PretrainedConfig, int]] = {
    "BERT": (BertConfig(**COMMON), PRODUCTS_OF_A_LAYER),
    "DistilBERT": (
        DistilBertConfig(vocab_size=VOCABULARY, dim=32, n_layers=2, n_heads=4, hidden_dim=64),
        PRODUCTS_OF_A_LAYER,
    ),
    "ELECTRA": (ElectraConfig(**COMMON, embedding_size=16), PRODUCTS_OF_A_LAYER),
    "ALBERT": (AlbertConfig(**COMMON, embedding_size=16), PRODUCTS_OF_A_LAYER),
    "RoBERTa": (RobertaConfig(**COMMON, pad_token_id=1), PRODUCTS_OF_A_LAYER),
    "MPNet": (MPNetConfig(**COMMON), PRODUCTS_OF_A_LAYER),
    # Query, key and value are one product there, which all tokens need.
    "ModernBERT": (ModernBertConfig(**MODERN, classifier_pooling="cls"), PRODUCTS_OF_A_LAYER - 1),
    "ModernBERT, mean of all tokens": (ModernBertConfig(**MODERN, classifier_pooling="mean"), 0),
}


def export_random(config: PretrainedConfig, folder: Path) -> Path:
    """Export an encoder of random weights, every one of them different from 0, and from 1."""
    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return convert_model(model, folder)


def runner(path: Path) -> Callable[[int], NDArray[np.float32]]:
    """Return what gives the logits of some paper of t tokens, shape (k,)."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    filled = {name: FILLED[name] for name in input_names(path) if name != INPUT}

    def run(length: int) -> NDArray[np.float32]:
        ids = np.random.default_rng(length).integers(5, VOCABULARY, (1, length))
        feeds = {INPUT: ids} | {name: np.full_like(ids, number) for name, number in filled.items()}
        return np.asarray(session.run(None, feeds)[0][0])

    return run


def operators(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


@pytest.mark.drawn(4)
@pytest.mark.parametrize("name", ENCODERS)
def test_the_logits_are_those_of_the_exporter_s_graph(name: str, tmp_path: Path) -> None:
    config, products = ENCODERS[name]
    plain = export_random(config, tmp_path)
    simplified = simplify(plain, tmp_path / "simplified.onnx", max_length=max(LENGTHS))
    assert input_names(simplified.path) == (INPUT,)
    assert simplified.products == products
    expected, found = runner(plain), runner(simplified.path)
    for length in LENGTHS:
        assert_allclose(found(length), expected(length), rtol=0, atol=ATOL)


def test_a_graph_that_holds_other_graphs_stays_as_it_is(tmp_path: Path) -> None:
    config = DebertaConfig(**COMMON, relative_attention=True, pos_att_type=["c2p", "p2c"], type_vocab_size=0)
    plain = export_random(config, tmp_path)
    simplified = simplify(plain, tmp_path / "simplified.onnx", max_length=max(LENGTHS))
    assert simplified.path == plain
    assert "holds a graph of its own" in simplified.description


def test_a_graph_with_inputs_of_another_kind_stays_as_it_is(tmp_path: Path) -> None:
    plain = export_random(BertConfig(**COMMON), tmp_path)
    model = onnx.load(plain)
    model.graph.input.append(helper.make_tensor_value_info("bbox", TensorProto.INT64, ["batch_size", 4]))
    onnx.save(model, plain)
    simplified = simplify(plain, tmp_path / "simplified.onnx", max_length=max(LENGTHS))
    assert simplified.path == plain
    assert "bbox" in simplified.description


def test_a_graph_whose_shapes_depend_on_the_tokens_stays_as_it_is(tmp_path: Path) -> None:
    plain = export_random(BertConfig(**COMMON), tmp_path)
    model = onnx.load(plain)
    model.graph.node.extend(
        [
            helper.make_node("NonZero", [INPUT], ["places"], name="places"),
            helper.make_node("Cast", ["places"], ["more"], to=TensorProto.FLOAT),
        ]
    )
    model.graph.output.append(helper.make_empty_tensor_value_info("more"))
    onnx.save(model, plain)
    simplified = simplify(plain, tmp_path / "simplified.onnx", max_length=max(LENGTHS))
    assert simplified.path == plain
    assert "NonZero places gives depends on the tokens" in simplified.description


def test_a_paper_that_is_too_long_is_refused(tmp_path: Path) -> None:
    plain = export_random(BertConfig(**COMMON), tmp_path)
    short = simplify(plain, tmp_path / "simplified.onnx", max_length=16)
    assert_allclose(runner(short.path)(16), runner(plain)(16), rtol=0, atol=ATOL)
    with pytest.raises(Exception, match="17"):
        runner(short.path)(17)


def test_the_tiny_checkpoint_needs_few_operations(checkpoint: Checkpoint, tmp_path: Path) -> None:
    plain = convert(checkpoint, tmp_path)
    simplified = simplify(plain, tmp_path / "simplified.onnx", max_length=checkpoint.max_length)
    assert simplified.products == PRODUCTS_OF_A_LAYER
    found = operators(simplified.path)
    masks = {"Where", "Expand", "ConstantOfShape", "Concat", "Unsqueeze", "Equal", "Cast"}
    assert masks & operators(plain).keys() >= {"Where", "Expand", "Concat"}
    assert not masks & found.keys()
    assert (found["Gather"], found["Slice"], found["Shape"]) == (2, 2, 1)  # tokens, first token; positions and the cut
    positions = {tuple(item.dims) for item in onnx.load(simplified.path).graph.initializer if len(item.dims) > 2}
    assert positions == {(1, 512, 48)}  # token types are added to them


def test_products_of_activations_are_not_quantized(checkpoint: Checkpoint, tmp_path: Path) -> None:
    plain = convert(checkpoint, tmp_path)
    simplified = simplify(plain, tmp_path / "simplified.onnx", max_length=checkpoint.max_length)
    found = operators(quantize(simplified.path, tmp_path / "int8"))
    assert found["MatMul"] == 2 * 2  # scores and context of two layers
    assert found["MatMulInteger"] == 2 * 6 + 2


def test_onnxruntime_multiplies_heads_where_they_lie(checkpoint: Checkpoint, tmp_path: Path) -> None:
    simplified = simplify(convert(checkpoint, tmp_path), tmp_path / "simplified.onnx", max_length=checkpoint.max_length)
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(quantize(simplified.path, tmp_path / "int8"), options, providers=["CPUExecutionProvider"])
    found = operators(tmp_path / "optimized.onnx")
    assert found["FusedMatMul"] == 2 * 2
    assert found["Transpose"] == 2  # back to one row a token


def test_the_bytes_do_not_depend_on_the_process(checkpoint: Checkpoint, tmp_path: Path) -> None:
    plain = convert(checkpoint, tmp_path)
    here, there = tmp_path / "here.onnx", tmp_path / "there.onnx"
    simplify(plain, here, max_length=checkpoint.max_length)
    code = (
        "import sys; from pathlib import Path; from export.simplify import simplify; "
        "simplify(Path(sys.argv[1]), Path(sys.argv[2]), max_length=int(sys.argv[3]))"
    )
    subprocess.run(
        [sys.executable, "-c", code, plain, there, str(checkpoint.max_length)],
        check=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "12345"},  # sets are in another order
    )
    assert here.read_bytes() == there.read_bytes()
