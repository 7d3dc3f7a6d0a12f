"""What SpikeGLX's command server answers, of which any cut gives the same replies.

A reply is lines of text that end with OK, or with ERROR and a reason. That to FETCH has one line,
`BINARY_DATA channels samples uint64(first)`, and then as many int16 values, little-endian, sample by sample.
Nothing marks where a reply begins: after one that cannot be read, only another connection helps.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

HEADER = re.compile(r"BINARY_DATA (\d{1,6}) (\d{1,9}) uint64\((\d{1,18})\)")

#: Longest line, and most values of one reply, that are believed.
MOST_LINE, MOST_VALUES = 100_000, 100_000_000


class GarbledError(Exception):
    """Bytes that are no reply; its text is the reason."""


class Reply(NamedTuple):
    """A reply: its lines, the reason of an error, and of FETCH the first sample and values [n, channels]."""

    lines: tuple[str, ...]
    error: str | None
    first: int
    values: npt.NDArray[np.int16] | None


class Replies:
    """Reads replies."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._lines: list[str] = []
        self._shape: tuple[int, int] | None = None
        self._first = 0
        self._values: npt.NDArray[Any] | None = None

    def feed(self, received: bytes) -> list[Reply]:
        """The replies that are complete with these bytes.

        Raises:
            GarbledError: they are none.
        """
        self._waiting += received
        replies: list[Reply] = []
        while True:
            if self._shape is not None:
                if not self._take_values(self._shape):
                    return replies
                continue
            end = self._waiting.find(b"\n")
            if end < 0:
                if len(self._waiting) > MOST_LINE:
                    raise GarbledError("line is too long")
                return replies
            line = bytes(self._waiting[:end]).decode("utf-8", "replace").strip()
            del self._waiting[: end + 1]
            if line == "OK" or line.startswith("ERROR"):
                error = None if line == "OK" else line.removeprefix("ERROR").strip() or "unknown"
                replies.append(Reply(tuple(self._lines), error, self._first, self._values))
                self._lines, self._values = [], None
            elif line.startswith("BINARY_DATA"):
                self._begin_values(line)
            elif line.isprintable() and self._values is None:
                self._lines.append(line)
            else:
                raise GarbledError("reply cannot be read")

    def _begin_values(self, line: str) -> None:
        found = HEADER.fullmatch(line)
        if found is None:
            raise GarbledError("reply cannot be read")
        n_channels, n_samples, self._first = (int(text) for text in found.groups())
        if n_channels * n_samples > MOST_VALUES:
            raise GarbledError("reply cannot be read")
        self._shape = n_samples, n_channels

    def _take_values(self, shape: tuple[int, int]) -> bool:
        size = 2 * shape[0] * shape[1]
        if len(self._waiting) < size:
            return False
        self._values = np.frombuffer(bytes(self._waiting[:size]), "<i2").reshape(shape)
        del self._waiting[:size]
        self._shape = None
        return True
