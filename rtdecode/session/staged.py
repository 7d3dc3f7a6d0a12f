"""What HDF5 writes to while a recording grows: first memory, then the disk, in an order that survives kills.

HDF5 by itself flushes a dataset's new length before the index that finds the new rows, and the new end of the
file before the file is that long; a process killed in between leaves rows of zeros, or a file that no longer
opens. So HDF5 gets this object instead of a file (h5py's driver for Python file objects). Its writes are
collected; `commit` brings them to disk such that the file is valid after every single one:

1. the file gets the length that HDF5 will record;
2. everything beyond the end of the last commit, and new index nodes: nothing points there yet;
3. the superblock, which has the length of the file: HDF5 refuses to read beyond;
4. rows in space that existed already: no length covers them yet;
5. index nodes, the highest level first: a parent may point to a new child early, never late;
6. object headers, which hold the lengths.

Two more advantages: the disk is only waited for inside `os.pwrite`, which releases the GIL, so a stalling
disk never stalls the decoding loop; and when the disk is full HDF5 does not notice: `commit` raises,
the writes wait in memory, and the next `commit` tries again.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from enum import IntEnum

INDEX_NODE = b"TREE"
INDEX_LEVEL_BYTE = 5

_Rank = tuple[int, int]


class _Order(IntEnum):
    """The order of writes, within the space the file already had."""

    SUPERBLOCK = 0
    ROWS = 1
    INDEX = 2
    HEADERS = 3


class StagedFile:
    """A binary file object for `h5py.File` whose writes reach the disk at `commit`.

    Args:
        descriptor: of an empty file open for reading and writing; the caller closes it.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._position = 0
        self._size = 0
        self._committed_size = 0
        self._starts: list[int] = []
        self._extents: dict[int, tuple[_Rank, bytes]] = {}
        self._index_nodes: set[int] = set()
        self._flushing = False
        self.waiting_bytes = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position; HDF5 seeks from the start, and from the end to find the size."""
        self._position = offset + (self._size if whence == os.SEEK_END else 0)
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position

    def write(self, data: bytes | memoryview) -> int:
        """Stage `data` at the position."""
        block = bytes(data)
        self._stage(self._position, block, self._rank(self._position, block))
        self._position += len(block)
        self._size = max(self._size, self._position)
        return len(block)

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes from the position, as they were last written; zeros in holes."""
        start = self._position
        stop = self._size if size < 0 else min(start + size, self._size)
        found = bytearray(max(0, stop - start))
        on_disk = os.pread(self._descriptor, len(found), start)
        found[: len(on_disk)] = on_disk
        for index in range(self._first_overlapping(start), len(self._starts)):
            at = self._starts[index]
            if at >= stop:
                break
            block = self._extents[at][1]
            low, high = max(at, start), min(at + len(block), stop)
            found[low - start : high - start] = block[low - at : high - at]
        self._position = start + len(found)
        return bytes(found)

    def readinto(self, buffer: memoryview) -> int:
        """As `read`, into `buffer`; returns the number of bytes."""
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def truncate(self, size: int | None = None) -> int:
        """Set the size HDF5 sees; the disk follows at `commit`."""
        self._size = self._position if size is None else size
        return self._size

    def flush(self) -> None:
        """Do nothing: HDF5 calls this during a flush, `commit` follows."""

    def expect_headers(self, flushing: bool) -> None:
        """Set whether HDF5 now writes lengths and indices (its flush) or rows."""
        self._flushing = flushing

    def commit(self) -> None:
        """Bring everything staged to the disk; after any of its writes the file is valid.

        Raises:
            OSError: disk full, gone, or over quota; everything stays staged for the next `commit`.
        """
        if os.fstat(self._descriptor).st_size < self._size:
            os.ftruncate(self._descriptor, self._size)
        for start in sorted(self._starts, key=self._commit_key):
            _write_all(self._descriptor, self._extents[start][1], start)
        os.ftruncate(self._descriptor, self._size)
        self._index_nodes.update(at for at, (rank, _) in self._extents.items() if rank[0] == _Order.INDEX)
        self._starts.clear()
        self._extents.clear()
        self.waiting_bytes = 0
        self._committed_size = self._size

    def _rank(self, start: int, block: bytes) -> _Rank:
        if start == 0:
            return (_Order.SUPERBLOCK, 0)
        if block.startswith(INDEX_NODE) and len(block) > INDEX_LEVEL_BYTE:
            return (_Order.INDEX, -block[INDEX_LEVEL_BYTE])
        return (_Order.HEADERS if self._flushing else _Order.ROWS, 0)

    def _commit_key(self, start: int) -> tuple[bool, _Rank, int]:
        rank, _ = self._extents[start]
        is_new_node = rank[0] == _Order.INDEX and start not in self._index_nodes
        unreferenced = start >= self._committed_size or is_new_node
        return (not unreferenced, rank, start)

    def _first_overlapping(self, start: int) -> int:
        index = max(0, bisect_right(self._starts, start) - 1)
        if index < len(self._starts):
            at = self._starts[index]
            if at + len(self._extents[at][1]) <= start:
                index += 1
        return index

    def _stage(self, start: int, block: bytes, rank: _Rank) -> None:
        """Add an extent; older ones are cut where it covers them, so that extents never overlap."""
        stop = start + len(block)
        index = self._first_overlapping(start)
        kept: list[tuple[int, _Rank, bytes]] = []
        while index < len(self._starts) and self._starts[index] < stop:
            at = self._starts.pop(index)
            old_rank, old = self._extents.pop(at)
            self.waiting_bytes -= len(old)
            if at < start:
                kept.append((at, old_rank, old[: start - at]))
            if at + len(old) > stop:
                kept.append((stop, old_rank, old[stop - at :]))
        for at, its_rank, part in sorted([*kept, (start, rank, block)]):
            self._starts.insert(index, at)
            self._extents[at] = (its_rank, part)
            self.waiting_bytes += len(part)
            index += 1


def _write_all(descriptor: int, block: bytes, start: int) -> None:
    done = 0
    while done < len(block):
        done += os.pwrite(descriptor, memoryview(block)[done:], start + done)
