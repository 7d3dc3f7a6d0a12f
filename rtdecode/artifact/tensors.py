"""Read the bytes of a safetensors file: each tensor as a view, and one metadata entry.

The safetensors library copies every tensor and holds the interpreter while it does: milliseconds in which a
daemon that loads another model could not decode.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError

T = TypeVar("T")

Arrays = dict[str, NDArray[Any]]
"""Arrays by name: the tensors of a model, the state of a decoder."""

METADATA_KEY = "rtdecode"

COPY_FIX = "copy the file again from where it was made, or make a new model with `rtdecode fit SESSION.h5`"
"""For a file that was a model and is damaged."""

_FOREIGN_FIX = "name a .safetensors file that rtdecode wrote"
_MAX_HEADER_BYTES = 100_000_000  # what the safetensors format allows
_DTYPES = MappingProxyType(
    {"BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4"}
    | {"U64": "<u8", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8"}
)


def parse_tensors(data: bytes) -> tuple[Arrays, str]:
    """Tensors of a safetensors file and its `rtdecode` entry.

    Raises:
        RtdecodeError: `data` is no safetensors file, truncated, damaged, or without that entry.
    """
    header_bytes = int.from_bytes(data[:8], "little")
    if len(data) < 9 or data[8:9] != b"{" or header_bytes > _MAX_HEADER_BYTES:
        raise RtdecodeError("is not a model file (not safetensors)", fix=_FOREIGN_FIX)
    if 8 + header_bytes > len(data):
        raise RtdecodeError(f"is truncated: {len(data)} of at least {8 + header_bytes} bytes", fix=COPY_FIX)
    try:
        header = json.loads(data[8 : 8 + header_bytes])
        described = {name: tensor for name, tensor in header.items() if name != "__metadata__"}
        unknown = {tensor["dtype"] for tensor in described.values()} - _DTYPES.keys()
        ends = [tensor["data_offsets"][1] for tensor in described.values()]
        size = 8 + header_bytes + max(ends, default=0)
        if size > len(data):
            raise RtdecodeError(f"is truncated: {len(data)} of {size} bytes", fix=COPY_FIX)
        if size < len(data):
            raise ValueError("something behind the last tensor")
        if unknown:
            raise RtdecodeError(
                f"has a tensor of type {sorted(unknown)[0]}, which no rtdecode model has", fix=_FOREIGN_FIX
            )
        tensors = {name: _view(data, 8 + header_bytes, tensor) for name, tensor in described.items()}
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise RtdecodeError(
            f"is damaged: its header cannot be read ({type(error).__name__})", fix=COPY_FIX
        ) from error
    text = (header.get("__metadata__") or {}).get(METADATA_KEY)
    if text is None:
        raise RtdecodeError("is a safetensors file but not an rtdecode model", fix=_FOREIGN_FIX)
    return tensors, text


def with_prefix(prefix: str, tensors: Mapping[str, T]) -> dict[str, T]:
    """The tensors whose names have this prefix, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _view(data: bytes, start: int, tensor: dict[str, Any]) -> NDArray[Any]:
    first, end = (int(offset) for offset in tensor["data_offsets"])
    dtype, shape = np.dtype(_DTYPES[tensor["dtype"]]), tuple(int(size) for size in tensor["shape"])
    if not 0 <= first <= end or end - first != math.prod(shape) * dtype.itemsize or min(shape, default=0) < 0:
        raise ValueError(f"a tensor of shape {shape} in {end - first} bytes")
    return np.frombuffer(data, dtype, math.prod(shape), start + first).reshape(shape)
