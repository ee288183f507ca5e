"""numpy's types and arrays, made from a file's description of them and never by its instructions. Pure.

A forged dtype (one of objects that denies it) would let raw bytes be taken for addresses: dtypes are made anew
from their names alone.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PLAIN = re.compile(r"[<>|=]?(b1|i[1248]|u[1248]|f[48]|U\d{1,3})")
_BIGGEST_RECORD = 512
Dtype = np.dtype[Any]


class BadArray(ValueError):
    """An array is not what its description claims."""


def plain(text: object, order: Any = "|") -> Dtype:
    """Return the dtype of a name such as "f8". Raises BadArray for objects and all else with pointers."""
    if not isinstance(text, str) or not _PLAIN.fullmatch(text) or order not in ("<", ">", "|", "="):
        raise BadArray(f"its numbers are of the type {text!r:.40}")
    return np.dtype(text).newbyteorder(order)


def record(names: Sequence[str], fields: Mapping[str, tuple[Dtype, Any]], size: object) -> Dtype:
    """Return the dtype of records with `fields`: name → (dtype, offset)."""
    if not isinstance(size, int) or not 0 < size <= _BIGGEST_RECORD:
        raise BadArray(f"a record of {size!r:.40} bytes")
    kinds = [fields[name][0] for name in names]
    if any(kind.hasobject or kind.names for kind in kinds):
        raise BadArray("records of something else than numbers")
    return np.dtype(
        {"names": list(names), "formats": kinds, "offsets": [fields[name][1] for name in names], "itemsize": size}
    )


def size_of(shape: object) -> int:
    """Return how many items an array of `shape` has."""
    if not isinstance(shape, tuple) or len(shape) > 8 or not all(_is_count(part) for part in shape):
        raise BadArray(f"an array of the shape {shape!r:.80}")
    return math.prod(shape)


def from_bytes(data: bytes, dtype: Dtype, shape: Any, order: Any) -> NDArray[Any]:
    """Return the array in `data` in this machine's byte order."""
    if dtype.hasobject or order not in ("C", "F") or len(data) != size_of(shape) * dtype.itemsize:
        raise BadArray(f"{len(data)} bytes are not an array of {shape!r:.80}")
    array = np.frombuffer(data, dtype).reshape(shape, order=order)
    return array.astype(dtype.newbyteorder("="))


def of_objects(items: object, shape: object, order: str) -> NDArray[np.object_]:
    """Return an array of objects from its items."""
    if not isinstance(items, list) or len(items) != size_of(shape):
        raise BadArray("an array of objects without its objects")
    array = np.empty(len(items), dtype=object)
    for number, item in enumerate(items):
        array[number] = item
    return array.reshape(shape, order=order)  # type: ignore[call-overload, no-any-return]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and 0 <= value <= 1 << 31
