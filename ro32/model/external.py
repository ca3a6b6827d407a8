"""Finds ONNX tensors whose data is in another file.

onnxruntime reads such a file from the folder in which the process happens to run, and no digest of a bundle covers it.
Scoring hosts do without the package onnx, so this walks the few protobuf messages that can hold a tensor.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (messages and field numbers) and
https://protobuf.dev/programming-guides/encoding (the encoding).
"""

from collections.abc import Iterator, Mapping

CHILDREN: Mapping[str, Mapping[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
}
"""By message, the fields that lead to tensors, and what they hold."""

_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
"""Fields of a TensorProto: where its file is, and (1) that its numbers are in a file."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""Wire types of protobuf. Groups (3 and 4) are not used by ONNX."""


def has_external_data(model: bytes) -> bool:
    """Return whether any tensor of a serialized model keeps its numbers elsewhere.

    Raises:
        ValueError: `model` is no protobuf message.
    """
    waiting = [("ModelProto", memoryview(model))]
    while waiting:
        name, data = waiting.pop()
        children = CHILDREN.get(name, {})
        for field, value in _fields(data):
            if name == "TensorProto" and (field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value)):
                return True
            if field in children and isinstance(value, memoryview):
                waiting.append((children[field], value))
    return False


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield number and value of each field of a message; numbers of fixed width, which nobody asks for, as bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        field, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            number, at = _varint(data, at)
            yield field, number
            continue
        if wire == _BYTES:
            length, at = _varint(data, at)
        elif wire in {_FIXED64, _FIXED32}:
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"no ONNX model: unknown wire type {wire}")
        if at + length > len(data):
            raise ValueError("no ONNX model: it ends in the middle of a field")
        yield field, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return the number that begins at a position, and the position behind it."""
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("no ONNX model: it ends in the middle of a number")
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return number, at
    raise ValueError("no ONNX model: a number has more than 10 bytes")
