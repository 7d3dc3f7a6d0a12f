"""Stamps and values of one stream of an XDF file, by pyxdf: synchronised, and otherwise as they are."""

from __future__ import annotations

import logging
import struct
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.signals.layouts import StreamDescription
from rtdecode.kernels.arrays import F8
from rtdecode.tools.files.xdf.chunks import (
    BOUNDARY,
    CLOCK_OFFSET,
    FOOTER,
    MAGIC,
    PIECE,
    SAMPLES,
    SIGNATURE,
    STREAM_HEADER,
    Chunks,
    chunk,
    chunk_head,
    opened,
)

#: From a chunk of samples [n, columns] to what is kept of it.
Reduce = Callable[[NDArray[Any]], NDArray[Any]]

#: pyxdf reports to stderr what is reported here.
_QUIET = logging.NullHandler()


@dataclass(frozen=True, eq=False)
class Samples:
    """Of one stream.

    Attributes:
        time: f8[n], seconds on the recorder's clock.
        values: [n, columns] in the stream's type, of text an object each; what `reduce` kept of it.
        segments: first and last sample between resets of the source's clock.
    """

    time: F8
    values: NDArray[Any]
    segments: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class StreamFile:
    """One stream of a file.

    Attributes:
        path: of the file.
        stream: its description, with the name that it has here.
        chunks: of the stream.
    """

    path: Path
    stream: StreamDescription
    chunks: Chunks

    def load(self, *, first: int | None = None, reduce: Reduce | None = None) -> Samples:
        """Read its samples.

        Args:
            first: only chunks until there are so many samples, None for all.
            reduce: what is kept of each chunk, so that wide samples are never in memory together.

        Raises:
            RtdecodeError: pyxdf is not installed, or cannot read them.
        """
        load_xdf = _pyxdf()
        with tempfile.TemporaryFile() as alone:
            with opened(self.path) as file:
                self._copy(file, alone, first)
            alone.seek(0)
            try:
                # Damaged clock offsets are beyond its numbers.
                with warnings.catch_warnings(action="ignore"):
                    (found,), _ = load_xdf(
                        alone,
                        dejitter_timestamps=False,
                        on_chunk=None if reduce is None else _on_chunk(reduce),
                    )
            except Exception as error:
                raise RtdecodeError(
                    f"stream {self.stream.name} cannot be read ({error})",
                    where=str(self.path),
                    fix="leave this stream out, or take the copy of the recorder's own disk",
                ) from error
        values = found["time_series"]
        if self.stream.format == "string":
            values = np.array(values, object).reshape(len(values), self.stream.n_columns)
        segments = found["info"]["clock_segments"] or [(0, len(found["time_stamps"]) - 1)]
        return Samples(found["time_stamps"], values, tuple(segments))

    def _copy(self, file: BinaryIO, alone: BinaryIO, first: int | None) -> None:
        """Write this stream alone, with a header that pyxdf needs and a boundary before each chunk, so that a
        damaged one costs no other."""
        stream, chunks = self.stream, self.chunks
        header = (
            f"<info><name>{escape(stream.name)}</name><channel_count>{stream.n_columns}</channel_count>"
            f"<nominal_srate>{stream.rate_hz!r}</nominal_srate>"
            f"<channel_format>{stream.format}</channel_format></info>"
        )
        number = struct.pack("<I", 1)
        alone.write(MAGIC + chunk(STREAM_HEADER, number + header.encode()))
        taken = 0
        for each in chunks.samples:
            if first is not None and taken >= first:
                break
            taken += each.n
            alone.write(chunk(BOUNDARY, SIGNATURE) + chunk_head(SAMPLES, 4 + each.length) + number)
            file.seek(each.start)
            _copy_bytes(file, alone, each.length)
        alone.write(chunk(BOUNDARY, SIGNATURE))
        for offset in chunks.clock_offsets:
            alone.write(chunk(CLOCK_OFFSET, number + offset))
        if chunks.footer_n is not None:
            footer = f"<info><sample_count>{chunks.footer_n}</sample_count></info>"
            alone.write(chunk(FOOTER, number + footer.encode()))


def _copy_bytes(file: BinaryIO, to: BinaryIO, length: int) -> None:
    while length > 0 and (piece := file.read(min(length, PIECE))):
        to.write(piece)
        length -= len(piece)


def _on_chunk(reduce: Reduce) -> Callable[..., tuple[Any, Any, Any]]:
    return lambda values, stamps, info, number: (reduce(values), stamps, info)


def _pyxdf() -> Callable[..., Any]:
    try:
        load_xdf: Callable[..., Any] = import_module("pyxdf").load_xdf
    except ImportError as error:
        raise RtdecodeError(
            "XDF files need pyxdf, which is not installed here",
            fix="pip install 'rtdecode[xdf]'",
        ) from error
    logging.getLogger("pyxdf").addHandler(_QUIET)
    return load_xdf
