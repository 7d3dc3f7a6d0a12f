"""The variables of a MATLAB file of version 5, by the format's description ("MAT-File Format", MathWorks).

SciPy reads them too, and ends the whole process on some damaged files.
"""

from __future__ import annotations

import math
import mmap
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO

import numpy as np

from rtdecode.tools.files.matlab.lazy import DEEPEST, Lazy, as_text, filled

HEADER_BYTES = 128

#: Types of elements: numbers by their NumPy types, and the others.
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
MATRIX, COMPRESSED, ENCODINGS = 14, 15, {16: "utf-8", 17: "utf-16", 18: "utf-32"}

#: Classes of arrays; numbers are of the classes above.
CELL, STRUCT, OBJECT, CHAR, SPARSE, FUNCTION, OPAQUE = 1, 2, 3, 4, 5, 16, 17
NESTED = (CELL, STRUCT)
COMPLEX, LOGICAL = 0x0800, 0x0200

#: Enough of a compressed variable for its name.
NAME_BYTES = 1 << 12


def variables(file: BinaryIO) -> Lazy:
    """The variables of an open file.

    Raises:
        ValueError: the file is damaged.
    """
    data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    order = {b"IM": "<", b"MI": ">"}.get(bytes(data[126:HEADER_BYTES]))
    if order is None:
        raise ValueError("its header states no byte order")
    read: dict[str, Callable[[], Any]] = {}
    nested = []
    for kind, content in _elements(data[HEADER_BYTES:], order):
        packed, matrix = kind == COMPRESSED, content
        if packed:
            head = zlib.decompressobj().decompress(content, NAME_BYTES)
            kind, matrix, _ = _element(memoryview(head), 0, order, whole=False)
        if kind != MATRIX or not len(matrix):
            continue
        name, of_class = _name(matrix, order)
        if name:
            read[name] = partial(_unpacked if packed else _array, content, order)
            nested += [name] if of_class in NESTED else []
    return Lazy(read, nested)


def _unpacked(content: memoryview, order: str) -> Any:
    return _array(_element(memoryview(zlib.decompress(content)), 0, order)[1], order)


def _element(data: memoryview, at: int, order: str, *, whole: bool = True) -> tuple[int, memoryview, int]:
    """Type and content of the element at a place, and where the next one is; `whole`: all of it is there."""
    if at + 8 > len(data):
        raise ValueError("an element is cut")
    kind, size = struct.unpack_from(f"{order}II", data, at)
    if kind >> 16:
        start, size, kind, following = at + 4, kind >> 16, kind & 0xFFFF, at + 8
        if size > 4:
            raise ValueError("a small element is too large")
    else:
        start = at + 8
        following = start + size + (0 if kind == COMPRESSED else -size % 8)
    if whole and start + size > len(data):
        raise ValueError("an element is cut")
    return kind, data[start : start + size], following


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    at = 0
    while at < len(data):
        kind, content, at = _element(data, at, order)
        yield kind, content


def _values(element: tuple[int, memoryview], order: str) -> Any:
    kind, content = element
    if kind not in NUMBERS:
        raise ValueError(f"an element of type {kind} holds no numbers")
    return np.frombuffer(content, np.dtype(order + NUMBERS[kind]))


def _name(matrix: memoryview, order: str) -> tuple[str, int]:
    """The name and the class of a variable."""
    _, flags, at = _element(matrix, 0, order)
    of_class = int(_values((6, flags), order)[0]) & 0xFF
    if of_class != OPAQUE:
        _, _, at = _element(matrix, at, order)
    _, name, _ = _element(matrix, at, order)
    return bytes(name).decode("ascii", "replace"), of_class


def _array(matrix: memoryview, order: str, depth: int = 0) -> Any:
    if not len(matrix):
        return np.zeros((0, 0))
    if depth > DEEPEST:
        raise ValueError("it is nested too deeply")
    parts = _elements(matrix, order)
    flags = int(_values(next(parts), order)[0])
    of_class = flags & 0xFF
    if of_class in (OBJECT, FUNCTION, OPAQUE):
        return None
    shape = tuple(_values(next(parts), order).tolist())
    next(parts)  # the name
    n = math.prod(shape)
    if len(shape) < 2 or min(shape) < 0 or (of_class != SPARSE and n > len(matrix)):
        raise ValueError(f"an array of the size {shape} does not fit")
    if of_class == CELL:
        return filled(shape, [_nested(part, order, depth) for part in _exactly(parts, n)])
    if of_class == STRUCT:
        return _struct(parts, n, order, depth)
    if of_class == CHAR:
        return _chars(next(parts, (2, memoryview(b""))), shape, order)
    if of_class == SPARSE:
        return _sparse(list(parts), shape, order)
    values = _values(next(parts), order)
    if flags & COMPLEX:
        values = values + 1j * _values(next(parts), order)
    return values.reshape(shape, order="F").astype(bool if flags & LOGICAL else values.dtype, copy=False)


def _exactly(parts: Iterator[tuple[int, memoryview]], n: int) -> list[tuple[int, memoryview]]:
    found = list(parts)
    if len(found) != n:
        raise ValueError(f"{len(found)} elements are in an array of {n}")
    return found


def _nested(part: tuple[int, memoryview], order: str, depth: int) -> Any:
    kind, content = part
    if kind != MATRIX:
        raise ValueError(f"an element of type {kind} is in a cell or struct")
    return _array(content, order, depth + 1)


def _struct(parts: Iterator[tuple[int, memoryview]], n: int, order: str, depth: int) -> Any:
    width = int(_values(next(parts), order)[0])
    names = bytes(next(parts)[1])
    if width < 1:
        raise ValueError("a struct has fields without names")
    fields = [
        names[at : at + width].split(b"\0")[0].decode("ascii", "replace")
        for at in range(0, len(names), width)
    ]
    every = _exactly(parts, n * len(fields))
    elements = [
        Lazy(
            {
                name: partial(_nested, every[i * len(fields) + k], order, depth)
                for k, name in enumerate(fields)
            }
        )
        for i in range(n)
    ]
    return elements[0] if n == 1 else elements


def _chars(part: tuple[int, memoryview], shape: tuple[int, ...], order: str) -> Any:
    kind, content = part
    if kind in ENCODINGS:
        endian = "" if kind == 16 else "-le" if order == "<" else "-be"
        letters = [*bytes(content).decode(ENCODINGS[kind] + endian, "replace")]
    else:
        letters = [chr(code) for code in _values(part, order).tolist()]
    if len(letters) != math.prod(shape):
        raise ValueError(f"{len(letters)} letters are in a text of the size {shape}")
    if not letters:
        return ""
    rows = np.array(letters, object).reshape(shape[0], -1, order="F")
    return as_text(["".join(row) for row in rows])


def _sparse(parts: list[tuple[int, memoryview]], shape: tuple[int, ...], order: str) -> Any:
    from scipy.sparse import csc_array

    row, starts = (_values(part, order) for part in parts[:2])
    # More space than values may be stored; MATLAB calls the bytes of logical values doubles.
    n = int(starts[-1]) if len(starts) else 0
    kind, content = parts[2]
    data = _values((kind if len(content) >= n * np.dtype(NUMBERS[kind]).itemsize else 2, content), order)
    found = csc_array((data[:n].astype(np.float64), row[:n], starts), shape=shape)
    found.check_format()
    return found
