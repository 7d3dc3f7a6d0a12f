"""Stamps and values of one stream of an XDF file, by pyxdf: synchronised, and otherwise as they are."""

from __future__ import annotations

import logging
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any
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
    SAMPLES,
    SIGNATURE,
    STREAM_HEADER,
    Chunks,
    SampleChunk,
    chunk,
    opened,
)
from rtdecode.tools.files.xdf.decode import Decoder

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

    def load(self, *, about: int | None = None, reduce: Reduce | None = None) -> Samples:
        """Read its samples.

        Args:
            about: so many samples, in chunks from all over the file; None for all.
            reduce: what is kept of each chunk, so that wide samples are never in memory together.

        Raises:
            RtdecodeError: pyxdf is not installed, or cannot read them.
        """
        load_xdf = _pyxdf()
        decoder, waiting = Decoder(self.stream), iter(self._taken(about))
        with opened(self.path) as file:

            def decoded(_: Any, __: Any, info: Any, ___: Any) -> tuple[Any, Any, Any]:
                """Of the next chunk: pyxdf, which decodes a sample at a time, is shown chunks of none."""
                each = next(waiting)
                file.seek(each.start + each.length - each.n_values)
                time, values = decoder.decode(file.read(each.n_values), each.n)
                return values if reduce is None else reduce(values), time, info

            try:
                # Damaged clock offsets are beyond its numbers.
                with warnings.catch_warnings(action="ignore"):
                    (found,), _ = load_xdf(
                        BytesIO(self._without_samples(about)), dejitter_timestamps=False, on_chunk=decoded
                    )
            except Exception as error:
                raise RtdecodeError(
                    f"stream {self.stream.name} cannot be read ({error})",
                    where=str(self.path),
                    fix="leave this stream out, or take the copy of the recorder's own disk",
                ) from error
        values = found["time_series"]
        if self.stream.format == "string":
            # A row each, in a list.
            values = np.array(values, object).reshape(len(values), -1 if values else self.stream.n_columns)
        segments = found["info"]["clock_segments"] or [(0, len(found["time_stamps"]) - 1)]
        return Samples(found["time_stamps"], values, tuple(segments))

    def _taken(self, about: int | None) -> list[SampleChunk]:
        """All chunks, or every so many, for about so many samples."""
        return self.chunks.samples[:: max(1, self.chunks.n_samples // about) if about else 1]

    def _without_samples(self, about: int | None) -> bytes:
        """This stream alone, as a file: the header that pyxdf needs, chunks of no samples, clock offsets.

        A boundary follows each chunk, so that a damaged one costs no other.
        """
        stream, number = self.stream, struct.pack("<I", 1)
        header = (
            f"<info><name>{escape(stream.name)}</name><channel_count>{stream.n_columns}</channel_count>"
            f"<nominal_srate>{stream.rate_hz!r}</nominal_srate>"
            f"<channel_format>{stream.format}</channel_format></info>"
        )
        parts = [MAGIC, chunk(STREAM_HEADER, number + header.encode())]
        empty = chunk(SAMPLES, number + b"\x01\x00") + chunk(BOUNDARY, SIGNATURE)
        parts += [empty] * len(self._taken(about))
        parts += [chunk(CLOCK_OFFSET, number + offset) for offset in self.chunks.clock_offsets]
        if self.chunks.footer_n is not None:
            footer = f"<info><sample_count>{self.chunks.footer_n}</sample_count></info>"
            parts.append(chunk(FOOTER, number + footer.encode()))
        return b"".join(parts)


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
