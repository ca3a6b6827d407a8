"""Converts bytes and strings that may not be UTF-8: a bad value affects only its own row."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def is_text(data_type: pa.DataType) -> bool:
    """Return whether a column type holds strings, plain or dictionary-encoded."""
    if pa.types.is_dictionary(data_type):
        return is_text(data_type.value_type)
    return data_type in {pa.string(), pa.large_string(), pa.string_view()}


def as_text(data_type: pa.DataType) -> pa.DataType:
    """Return the type of strings in the place of bytes, and any other type as it is.

    Indices get 32 bits: those of 8 may be too few for the values of all batches.
    """
    if pa.types.is_dictionary(data_type):
        return pa.dictionary(pa.int32(), as_text(data_type.value_type), data_type.ordered)
    texts = {pa.binary(): pa.string(), pa.large_binary(): pa.large_string(), pa.binary_view(): pa.string_view()}
    return texts.get(data_type, data_type)


def check(column: pa.Array) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Validate a column of n values.

    Returns:
        The column, bytes as strings, null if a value is not UTF-8; and where that is, shape (n,).

    Raises:
        pyarrow.ArrowInvalid: It is damaged in another way.
    """
    if pa.types.is_dictionary(column.type):
        values, bad_values = check(column.dictionary)
        indices = column.indices
        indices.validate(full=True)
        rows = indices.fill_null(0).to_numpy(zero_copy_only=False)
        if len(rows) and not 0 <= rows.min() <= rows.max() < max(len(values), 1):
            raise pa.ArrowInvalid("an index is not one of the dictionary")
        bad = np.zeros(len(rows), dtype=np.bool_)
        if bad_values.any():
            bad = bad_values[rows] & indices.is_valid().to_numpy(zero_copy_only=False)
            indices = pa.array(rows, indices.type, mask=bad | indices.is_null().to_numpy(zero_copy_only=False))
        return pa.DictionaryArray.from_arrays(indices, values), bad
    if as_text(column.type) == column.type and not is_text(column.type):
        column.validate(full=True)
        return column, np.zeros(len(column), dtype=np.bool_)
    try:
        text = column.cast(as_text(column.type))
        text.validate(full=True)
    except pa.ArrowInvalid:
        return _repaired(column)
    return text, np.zeros(len(column), dtype=np.bool_)


def _repaired(column: pa.Array) -> tuple[pa.Array, NDArray[np.bool_]]:
    raw = column.cast(pa.large_binary())
    raw.validate(full=True)
    bad = np.array([not _is_utf8(value) for value in raw], dtype=np.bool_)
    if not bad.any():
        raise pa.ArrowInvalid("its values are not valid")
    return pc.if_else(pa.array(bad), None, raw).cast(as_text(column.type)), bad


def _is_utf8(value: pa.LargeBinaryScalar) -> bool:
    try:
        str(value.as_buffer() or b"", "utf-8")
    except UnicodeDecodeError:
        return False
    return True
