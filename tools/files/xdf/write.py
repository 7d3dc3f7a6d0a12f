"""Write streams as an XDF file, as LabRecorder would (https://github.com/sccn/xdf/wiki/Specifications).

Stamps are written as they are, on the recorder's own clock: each stream has one clock offset of zero, which a
reader adds without changing a bit.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from rtdecode.files import cannot_write, part_of
from rtdecode.ingest.signals.layouts import StreamDescription
from rtdecode.kernels.arrays import F8
from rtdecode.tools.files.xdf.chunks import (
    BOUNDARY,
    CLOCK_OFFSET,
    FILE_HEADER,
    FOOTER,
    MAGIC,
    SAMPLES,
    SIGNATURE,
    STREAM_HEADER,
    chunk,
)
from rtdecode.tools.files.xdf.decode import DTYPES

#: Samples of a chunk.
N_SAMPLES = 4096


@dataclass(frozen=True, eq=False)
class WrittenStream:
    """A stream to write.

    Attributes:
        stream: its description; `format` is that of the samples.
        time: f8[n], seconds.
        values: [n, n_columns], or the text of each sample.
        facts: further entries of its description.
    """

    stream: StreamDescription
    time: F8
    values: NDArray[Any] | Sequence[str]
    facts: Mapping[str, str] = field(default_factory=dict)


def write_streams(path: Path, streams: Iterable[WrittenStream], date: str = "") -> None:
    """Write a file, which takes the place of another of its name once it is complete.

    Raises:
        RtdecodeError: it cannot be written.
    """
    part = part_of(path)
    try:
        with part.open("xb") as file:
            file.write(MAGIC + chunk(FILE_HEADER, _xml({"version": "1.0", "datetime": date})))
            for number, each in zip(count(1), streams):
                _write_stream(file, struct.pack("<I", number), each)
        part.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        part.unlink(missing_ok=True)


def _write_stream(file: BinaryIO, number: bytes, written: WrittenStream) -> None:
    time = written.time
    file.write(chunk(STREAM_HEADER, number + _header(written)))
    for first in range(0, len(time), N_SAMPLES):
        part = slice(first, first + N_SAMPLES)
        samples = _samples(written.stream, time[part], written.values[part])
        head = number + b"\x04" + struct.pack("<I", len(time[part]))
        file.write(chunk(BOUNDARY, SIGNATURE) + chunk(SAMPLES, head + samples))
    at_s = float(time[0]) if len(time) else 0.0
    file.write(chunk(CLOCK_OFFSET, number + struct.pack("<dd", at_s, 0.0)))
    ends = {"first_timestamp": repr(at_s), "last_timestamp": repr(float(time[-1]) if len(time) else 0.0)}
    file.write(chunk(FOOTER, number + _xml({**ends, "sample_count": str(len(time))})))


def _samples(stream: StreamDescription, time: F8, values: NDArray[Any] | Sequence[str]) -> bytes:
    if stream.format == "string":
        texts = [str(value).encode() for value in values]
        stamped = zip(time.tolist(), texts, strict=True)
        return b"".join(struct.pack("<BdBI", 8, stamp, 4, len(text)) + text for stamp, text in stamped)
    row = np.dtype([("bytes", "u1"), ("time", "<f8"), ("values", DTYPES[stream.format], (stream.n_columns,))])
    rows = np.empty(len(time), row)
    rows["bytes"], rows["time"], rows["values"] = 8, time, values
    return rows.tobytes()


def _header(written: WrittenStream) -> bytes:
    stream = written.stream
    columns = [
        {name: text for name, text in (("label", label), ("unit", unit), ("kind", kind)) if text}
        for label, unit, kind in zip(
            stream.labels,
            stream.units or ("",) * len(stream.labels),
            stream.kinds or ("",) * len(stream.labels),
            strict=True,
        )
    ]
    described = "".join(f"<channel>{_tags(column)}</channel>" for column in columns)
    facts = dict(written.facts)
    if stream.n_channels:
        facts["n_channels"] = str(stream.n_channels)
    desc = _tags(facts) + (f"<channels>{described}</channels>" if columns else "")
    announced = {
        "name": stream.name,
        "type": stream.type,
        "channel_count": str(stream.n_columns),
        "nominal_srate": repr(float(stream.rate_hz)),
        "channel_format": stream.format,
        "source_id": stream.source_id,
        "hostname": stream.hostname,
        "uid": stream.uid,
    }
    return _xml(announced, f"<desc>{desc}</desc>")


def _xml(entries: Mapping[str, str], more: str = "") -> bytes:
    return f'<?xml version="1.0"?><info>{_tags(entries)}{more}</info>'.encode()


def _tags(entries: Mapping[str, str]) -> str:
    return "".join(f"<{name}>{escape(_printable(text))}</{name}>" for name, text in entries.items())


def _printable(text: str) -> str:
    """XML has no place for control characters."""
    return "".join(letter for letter in text if letter.isprintable() or letter in "\t\n\r")
