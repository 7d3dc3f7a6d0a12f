"""Samples of an XDF file from their bytes: a stamp or none, then the values, a sample after the other."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.ingest.signals.layouts import StreamDescription
from rtdecode.kernels.arrays import F8, I8
from rtdecode.tools.files.xdf.chunks import LENGTHS

#: NumPy types of the formats of numbers.
DTYPES = {
    "int8": "i1",
    "int16": "<i2",
    "int32": "<i4",
    "int64": "<i8",
    "float32": "<f4",
    "double64": "<f8",
}


class Decoder:
    """The chunks of one stream, one after another.

    A sample without a stamp is a period after the one before.

    Args:
        stream: its description.
    """

    def __init__(self, stream: StreamDescription) -> None:
        self._n_columns = stream.n_columns
        self._dtype = None if stream.format == "string" else np.dtype(DTYPES[stream.format])
        self._period_s = 1.0 / stream.rate_hz if stream.rate_hz else 0.0
        self._last_s = 0.0

    def decode(self, content: bytes, n: int) -> tuple[F8, NDArray[Any]]:
        """The `n` samples of a chunk: time f8[n] and values [n, columns], texts as objects.

        Raises:
            ValueError: they do not fit its bytes.
        """
        if self._dtype is None:
            stamp, values = self._texts(content, n)
        else:
            stamp, values = self._numbers(content, n, self._dtype)
        known = ~np.isnan(stamp)
        # The latest sample with a stamp, and how many follow it.
        at = np.maximum.accumulate(np.where(known, np.arange(n), -1))
        since = np.arange(n) - at
        time: F8 = np.where(at < 0, self._last_s, stamp[at]) + np.where(known, 0, since) * self._period_s
        self._last_s = float(time[-1]) if n else self._last_s
        return time, values

    def _numbers(self, content: bytes, n: int, dtype: np.dtype[Any]) -> tuple[F8, NDArray[Any]]:
        row_bytes = self._n_columns * dtype.itemsize
        flags = np.frombuffer(content, np.uint8)
        if len(content) == n * (9 + row_bytes):
            start: I8 = np.arange(n) * (9 + row_bytes)
            stamped = np.ones(n, np.bool_)
        else:
            start, stamped = _walk(content, n, row_bytes)
        if not np.array_equal(flags[start] != 0, stamped):
            raise ValueError("its stamps are not where they belong")
        stamp = np.full(n, np.nan)
        stamp[stamped] = _gathered(flags, start[stamped] + 1, 8).view("<f8")[:, 0]
        values = _gathered(flags, start + 1 + 8 * stamped, row_bytes).view(dtype)
        return stamp, values.reshape(n, self._n_columns)

    def _texts(self, content: bytes, n: int) -> tuple[F8, NDArray[Any]]:
        stamp, values = np.full(n, np.nan), np.empty((n, self._n_columns), object)
        at = 0
        for i in range(n):
            if content[at]:
                (stamp[i],) = struct.unpack_from("<d", content, at + 1)
            at += 9 if content[at] else 1
            for column in range(self._n_columns):
                form = LENGTHS[content[at]]
                (length,) = struct.unpack_from(form, content, at + 1)
                at += 1 + struct.calcsize(form) + length
                if at > len(content):
                    raise ValueError("a text is cut")
                values[i, column] = content[at - length : at].decode("utf-8", "replace")
        return stamp, values


def _walk(content: bytes, n: int, row_bytes: int) -> tuple[I8, NDArray[np.bool_]]:
    """Where each sample begins, and whether it has a stamp."""
    start, stamped, at = np.zeros(n, np.int64), np.zeros(n, np.bool_), 0
    for i in range(n):
        start[i], stamped[i] = at, content[at] != 0
        at += (9 if content[at] else 1) + row_bytes
    if at != len(content):
        raise ValueError("its samples are of another number of bytes")
    return start, stamped


def _gathered(content: NDArray[np.uint8], start: I8, n_bytes: int) -> NDArray[np.uint8]:
    """[m, n_bytes] from these places on."""
    found = np.empty((len(start), n_bytes), np.uint8)
    even = len(start) < 2 or np.all(np.diff(start) == start[1] - start[0])
    if even and len(start):
        step = int(start[1] - start[0]) if len(start) > 1 else n_bytes
        shape = (len(start), n_bytes)
        found[:] = np.lib.stride_tricks.as_strided(content[start[0] :], shape, (step, 1), writeable=False)
    elif len(start):
        found[:] = content[start[:, None] + np.arange(n_bytes)]
    return found
