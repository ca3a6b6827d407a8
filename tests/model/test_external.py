"""A model whose weights lie in another file is refused: no digest covers that file."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from ro32.errors import BundleError
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import MODEL
from ro32.model.classifier import Classifier
from ro32.model.session import has_external_data
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


@pytest.mark.parametrize("tag", [b"\x0a", b"\x8a\x00", b"\x8a\x80\x80\x00"])
@pytest.mark.parametrize("length", [b"\x08", b"\x88\x00", b"\x88\x80\x80\x80\x00"])
def test_numbers_of_more_bytes_than_needed_hide_nothing(tag: bytes, length: bytes) -> None:
    entry = tag + length + b"location" + b"\x12\x01w"
    found = onnx.StringStringEntryProto.FromString(entry)
    assert (found.key, found.value) == ("location", "w")
    assert has_external_data(entry)


def test_a_longer_name_is_no_location() -> None:
    model = in_initializer(small())
    model.graph.initializer[0].name = "embeddings.location.weight"
    model.doc_string = "location"
    assert not has_external_data(model.SerializeToString())


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
