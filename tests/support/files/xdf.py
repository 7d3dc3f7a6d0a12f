"""XDF files written chunk by chunk, so that tests can break them."""

from __future__ import annotations

import struct
from pathlib import Path

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

FORMATS = {"int8": "b", "int16": "h", "int32": "i", "int64": "q", "float32": "f", "double64": "d"}


class XdfFile:
    """Chunks in the order of the calls."""

    def __init__(self) -> None:
        self.chunks = [MAGIC, chunk(FILE_HEADER, b"<info><version>1.0</version></info>")]
        self._formats: dict[int, str] = {}

    def header(self, number: int, desc: str = "", **entries: object) -> None:
        """A stream: name, type, channel_count, nominal_srate, channel_format, source_id."""
        tags = "".join(f"<{name}>{value}</{name}>" for name, value in entries.items())
        self._formats[number] = str(entries["channel_format"])
        content = f'<?xml version="1.0"?><info>{tags}<desc>{desc}</desc></info>'
        self.chunks.append(chunk(STREAM_HEADER, struct.pack("<I", number) + content.encode()))

    def samples(self, number: int, time: list[float], values: list[list[object]]) -> None:
        """A chunk of samples, and a boundary; a stamp that is None is left out, as of regular streams."""
        content = struct.pack("<IBI", number, 4, len(time))
        for stamp, row in zip(time, values, strict=True):
            content += b"\0" if stamp is None else struct.pack("<Bd", 8, stamp)
            if self._formats[number] == "string":
                content += b"".join(
                    struct.pack("<BI", 4, len(str(t).encode())) + str(t).encode() for t in row
                )
            else:
                content += struct.pack(f"<{len(row)}{FORMATS[self._formats[number]]}", *row)
        self.chunks += [chunk(SAMPLES, content), chunk(BOUNDARY, SIGNATURE)]

    def offset(self, number: int, time: float, value: float = 0.0) -> None:
        """A clock offset."""
        self.chunks.append(chunk(CLOCK_OFFSET, struct.pack("<Idd", number, time, value)))

    def footer(self, number: int, n: int) -> None:
        """The footer of a stream."""
        content = f"<info><sample_count>{n}</sample_count></info>".encode()
        self.chunks.append(chunk(FOOTER, struct.pack("<I", number) + content))

    def write(self, path: Path) -> Path:
        """Write the file."""
        path.write_bytes(b"".join(self.chunks))
        return path
