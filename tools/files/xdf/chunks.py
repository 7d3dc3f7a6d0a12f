"""The chunks of an XDF file: which streams it has and where their samples are; no sample is decoded.

A file of a recorder that was killed ends in the middle of a chunk, and chunks may be damaged: what cannot be
read is skipped up to the next boundary chunk, and told.
"""

from __future__ import annotations

import math
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple
from xml.etree import ElementTree

MAGIC, GZIP = b"XDF:", b"\x1f\x8b"
FILE_HEADER, STREAM_HEADER, SAMPLES, CLOCK_OFFSET, BOUNDARY, FOOTER = range(1, 7)

#: The content of a boundary chunk.
SIGNATURE = bytes.fromhex("43A546DCCBF5410FB30ED5467383CBE4")

#: struct formats of the length of a chunk, by the number of its bytes.
LENGTHS = {1: "<B", 4: "<I", 8: "<Q"}

#: Bytes that are read or copied at once.
PIECE = 1 << 20


class SampleChunk(NamedTuple):
    """Where samples are.

    Attributes:
        start, length: of the content behind the stream's number, bytes.
        n: samples, as it states it.
        n_values: bytes of their stamps and values.
    """

    start: int
    length: int
    n: int
    n_values: int


@dataclass
class Chunks:
    """The chunks of one stream.

    Attributes:
        header: its description, None if it has none that can be read.
        samples: chunks of samples, in the file's order.
        clock_offsets: time and value of each, as they are written.
        footer_n: number of samples that its footer states; None without a footer.
    """

    header: ElementTree.Element | None = None
    samples: list[SampleChunk] = field(default_factory=list)
    clock_offsets: list[bytes] = field(default_factory=list)
    footer_n: int | None = None

    @property
    def n_samples(self) -> int:
        """As its chunks state it."""
        return sum(each.n for each in self.samples)

    def leave_out_damaged(self, row_bytes: int) -> int:
        """Leave out chunks whose length is not that of their samples, each with or without a stamp.

        Args:
            row_bytes: of the values of a sample.

        Returns:
            the number of samples that they state.
        """
        before = self.n_samples
        self.samples = [
            each
            for each in self.samples
            if 0 <= (stamps := each.n_values - each.n * (1 + row_bytes)) <= 8 * each.n and stamps % 8 == 0
        ]
        return before - self.n_samples

    @property
    def n_clock_resets(self) -> int:
        """How often the source's clock went back."""
        times = [struct.unpack("<d", offset[:8])[0] for offset in self.clock_offsets]
        return sum(after < before for before, after in pairwise(times))


@dataclass
class Contents:
    """What a file holds.

    Attributes:
        header: of the file, None if it has none that can be read.
        streams: by their number, in the order of their first chunk.
        lost: what could not be read, a sentence each.
    """

    header: ElementTree.Element | None = None
    streams: dict[int, Chunks] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)

    def name_of(self, number: int) -> str:
        """The name of a stream, for people."""
        header = self.streams[number].header
        return (header is not None and header.findtext("name")) or f"stream {number}"


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, decompressed into a temporary one if they are gzip's."""
    with path.open("rb") as file:
        compressed = file.read(2) == GZIP
        file.seek(0)
        if not compressed:
            yield file
            return
        with tempfile.TemporaryFile() as plain:
            _decompress(file, plain)
            plain.seek(0)
            yield plain


def _decompress(file: BinaryIO, plain: BinaryIO) -> None:
    """As much as there is: a file that was cut or damaged ends where its last good bytes end."""
    unzip = zlib.decompressobj(31)
    while piece := unzip.unused_data or file.read(PIECE):
        if unzip.eof:
            unzip = zlib.decompressobj(31)
        try:
            plain.write(unzip.decompress(piece))
        except zlib.error:
            return


def chunk(tag: int, content: bytes) -> bytes:
    """A whole chunk."""
    return chunk_head(tag, len(content)) + content


def chunk_head(tag: int, length: int) -> bytes:
    """What is before the content of a chunk, of that many bytes."""
    return b"\x08" + struct.pack("<QH", length + 2, tag)


def scan(file: BinaryIO) -> Contents:
    """Find all chunks of a file that is open at its start."""
    size = file.seek(0, 2)
    contents, position, orphans = Contents(), len(MAGIC), 0
    while position < size:
        file.seek(position)
        found = _chunk(file, size)
        if found is None:
            after = _after_boundary(file, position)
            contents.lost.append(_what_was_lost(file, contents, position, after, size))
            position = after or size
            continue
        tag, stream, start, end = found
        if tag == FILE_HEADER:
            contents.header = _xml(file.read(end - start))
        elif stream is not None:
            if stream not in contents.streams and tag != STREAM_HEADER:
                orphans += tag == SAMPLES
            elif not _take(contents.streams.setdefault(stream, Chunks()), tag, file, (start, end)):
                whose = contents.name_of(stream)
                contents.lost.append(f"a chunk of {end - start:,} bytes of {whose} is damaged")
        position = end
    if orphans:
        contents.lost.append(f"{orphans} chunks of samples belong to no stream that is described before them")
    return contents


def _chunk(file: BinaryIO, size: int) -> tuple[int, int | None, int, int] | None:
    """Tag, stream, start and end of the content of the chunk at which the file is, None if it is none."""
    head = file.read(1)
    form = LENGTHS.get(head[0]) if head else None
    if form is None:
        return None
    raw = file.read(struct.calcsize(form) + 2)
    if len(raw) < struct.calcsize(form) + 2:
        return None
    length, tag = struct.unpack(f"{form}H", raw)
    start = file.tell()
    end = start + length - 2
    of_stream = tag in (STREAM_HEADER, SAMPLES, CLOCK_OFFSET, FOOTER)
    if not FILE_HEADER <= tag <= FOOTER or end > size or end < start + 4 * of_stream:
        return None
    if not of_stream:
        return tag, None, start, end
    return tag, struct.unpack("<I", file.read(4))[0], start + 4, end


def _take(chunks: Chunks, tag: int, file: BinaryIO, extent: tuple[int, int]) -> bool:
    """Note a chunk of a stream; False if it cannot be one."""
    start, end = extent
    if tag == SAMPLES:
        n = n_samples_at(file)
        # Each sample takes a byte or more.
        if n is None or n > end - file.tell():
            return False
        chunks.samples.append(SampleChunk(start, end - start, n, end - file.tell()))
        return True
    content = file.read(end - start)
    if tag == FOOTER:
        footer = _xml(content)
        stated = "" if footer is None else footer.findtext("sample_count") or ""
        chunks.footer_n = int(stated) if stated.strip().isdigit() else chunks.n_samples
        return footer is not None
    if tag == CLOCK_OFFSET:
        usable = len(content) == 16 and all(map(math.isfinite, struct.unpack("<dd", content)))
        if usable:
            chunks.clock_offsets.append(content)
        return usable
    header = _xml(content)
    if header is not None and chunks.header is None:
        chunks.header = header
    return header is not None


def n_samples_at(file: BinaryIO) -> int | None:
    """The number of samples with which a chunk of them begins, None if there is none."""
    head = file.read(1)
    form = LENGTHS.get(head[0]) if head else None
    raw = file.read(struct.calcsize(form)) if form else b""
    return int(struct.unpack(form, raw)[0]) if form and len(raw) == struct.calcsize(form) else None


def _what_was_lost(file: BinaryIO, contents: Contents, position: int, after: int | None, size: int) -> str:
    if after is not None:
        return f"{after - position:,} damaged bytes were skipped"
    file.seek(position)
    head = file.read(1)
    form = LENGTHS.get(head[0]) if head else None
    raw = file.read(struct.calcsize(form) + 6) if form else b""
    whose = ""
    if form and len(raw) == struct.calcsize(form) + 6:
        _, tag, stream = struct.unpack(f"{form}HI", raw)
        n = n_samples_at(file) if tag == SAMPLES and stream in contents.streams else None
        whose = "" if n is None else f", up to {n:,} samples of {contents.name_of(stream)}"
    return f"the file ends in the middle of a chunk: its last {size - position:,} bytes{whose} are lost"


def _after_boundary(file: BinaryIO, position: int) -> int | None:
    """Where the next boundary chunk ends, None without one."""
    file.seek(position)
    tail = b""
    while piece := file.read(PIECE):
        block = tail + piece
        at = block.find(SIGNATURE)
        if at >= 0:
            return file.tell() - len(block) + at + len(SIGNATURE)
        tail = block[1 - len(SIGNATURE) :]
    return None


def _xml(content: bytes) -> ElementTree.Element | None:
    try:
        return ElementTree.fromstring(content.decode("utf-8", "replace"))
    except ElementTree.ParseError:
        return None
