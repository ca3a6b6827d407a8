"""A model whose weights lie in another file is refused: no digest covers that file."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from ro32.errors import BundleError
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import MODEL
from ro32.model.classifier import Classifier
from ro32.model.external import CHILDREN, has_external_data
from tests.model.test_bundle import rewrite


def elsewhere(tensor: onnx.TensorProto) -> onnx.TensorProto:
    """Move the numbers of a tensor into a file."""
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    return tensor


def small() -> onnx.TensorProto:
    return numpy_helper.from_array(np.arange(4, dtype=np.float32), "w")


def in_initializer(tensor: onnx.TensorProto) -> onnx.ModelProto:
    return helper.make_model(helper.make_graph([], "g", [], [], [tensor]))


def in_constant(tensor: onnx.TensorProto) -> onnx.ModelProto:
    return helper.make_model(helper.make_graph([helper.make_node("Constant", [], ["c"], value=tensor)], "g", [], []))


def in_branch(tensor: onnx.TensorProto) -> onnx.ModelProto:
    branch = in_initializer(tensor).graph
    return helper.make_model(helper.make_graph([helper.make_node("If", ["x"], ["y"], then_branch=branch)], "g", [], []))


def in_sparse(tensor: onnx.TensorProto) -> onnx.ModelProto:
    model = helper.make_model(helper.make_graph([], "g", [], []))
    model.graph.sparse_initializer.add().values.CopyFrom(tensor)
    return model


def in_function(tensor: onnx.TensorProto) -> onnx.ModelProto:
    nodes = in_constant(tensor).graph.node
    function = helper.make_function("own", "f", [], ["c"], nodes, [helper.make_opsetid("", 17)])
    return helper.make_model(helper.make_graph([], "g", [], []), functions=[function])


@pytest.mark.parametrize("place", [in_initializer, in_constant, in_branch, in_sparse, in_function])
def test_a_tensor_elsewhere_is_found_wherever_it_stands(
    place: Callable[[onnx.TensorProto], onnx.ModelProto],
) -> None:
    assert has_external_data(place(elsewhere(small())).SerializeToString())
    assert not has_external_data(place(small()).SerializeToString())


def messages(start: onnx.ModelProto) -> Iterator[object]:
    """Yield the descriptor of every message that a model can hold."""
    found, waiting = set(), [start.DESCRIPTOR]
    while waiting:
        message = waiting.pop()
        if message.full_name not in found:
            found.add(message.full_name)
            yield message
            waiting += [field.message_type for field in message.fields if field.message_type is not None]


def test_no_way_to_a_tensor_is_forgotten() -> None:
    """What this release of onnx says a model may hold is what the walk goes through."""
    leads: dict[str, dict[int, str]] = {}
    reached = {"TensorProto"}
    for _ in range(10):  # as often as a way may be long
        for message in messages(onnx.ModelProto()):
            fields = [field for field in message.fields if field.message_type is not None]  # type: ignore[attr-defined]
            ways = {field.number: field.message_type.name for field in fields if field.message_type.name in reached}
            if ways:
                leads[message.name] = ways  # type: ignore[attr-defined]
        reached |= set(leads)
    assert leads == CHILDREN


@pytest.mark.parametrize("data", [b"\x3a\xff", b"\x3a\x05ab", b"\x3b", b"\xff" * 11, b"\x3a"])
def test_what_is_no_message_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="no ONNX model"):
        has_external_data(data)


def test_shipped_model_has_all_its_weights_inside() -> None:
    assert not has_external_data(Bundle.shipped().model)


def test_a_bundle_with_weights_elsewhere_is_refused(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where onnxruntime itself would take the file from the working folder, and score with whatever is in it."""
    folder = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    model = onnx.load(folder / MODEL)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    onnx.save(model, "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert Path("weights.bin").stat().st_size > 0
    shutil.copy("model.onnx", folder / MODEL)
    rewrite(folder)
    with pytest.raises(BundleError, match=r"unusable: its weights lie in another file.*export it again"):
        Classifier.load(folder)
