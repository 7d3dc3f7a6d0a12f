"""The staged file behaves like a plain file, and commits what was written, in order."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtdecode.session.staged import StagedFile

Step = tuple[str, int, bytes]
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["write", "header"]), st.integers(0, 60), st.binary(min_size=1, max_size=24)
        ),
        st.tuples(
            st.just("index"), st.integers(0, 60), st.binary(min_size=4, max_size=9).map(lambda b: b"TREE" + b)
        ),
        st.tuples(st.just("read"), st.integers(0, 90), st.just(b"")),
        st.tuples(st.just("commit"), st.just(0), st.just(b"")),
    ),
    max_size=30,
)


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


def put(staged: StagedFile, start: int, block: bytes) -> None:
    staged.seek(start)
    assert staged.write(block) == len(block)


def on_disk(descriptor: int) -> bytes:
    return os.pread(descriptor, 1 << 20, 0)


@given(steps=STEPS)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_reads_and_commits_like_a_plain_file(descriptor: int, steps: list[Step]) -> None:
    os.ftruncate(descriptor, 0)
    staged, plain, committed = StagedFile(descriptor), bytearray(), b""
    for kind, start, block in steps:
        if kind == "read":
            staged.seek(start)
            assert staged.read(24) == bytes(plain[start : start + 24])
            assert staged.tell() == max(start, min(start + 24, len(plain)))
        elif kind == "commit":
            staged.commit()
            committed = bytes(plain)
            assert staged.waiting_bytes == 0
        else:
            staged.expect_headers(kind == "header")
            put(staged, start, block)
            plain.extend(bytes(max(0, start - len(plain))))
            plain[start : start + len(block)] = block
        assert on_disk(descriptor) == committed
        assert staged.seek(0, os.SEEK_END) == len(plain)
    staged.commit()
    assert on_disk(descriptor) == bytes(plain)


def test_the_order_on_disk(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    staged = StagedFile(descriptor)
    old_leaf, old_root = b"TREE\x01\x00" + bytes(10), b"TREE\x01\x01" + bytes(10)
    old = {0: bytes(96), 100: bytes(50), 200: old_leaf, 220: old_root, 300: b"header"}
    for start, block in old.items():
        put(staged, start, block)
    staged.commit()

    written: list[int] = []
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, block, at: written.append(at) or pwrite(fd, block, at))
    put(staged, 100, b"rows")
    staged.expect_headers(True)
    for start, block in [
        (300, b"longer"),
        (200, old_leaf),
        (220, old_root),
        (260, b"TREE\x01\x00" + bytes(10)),
        (400, b"new header"),
        (0, b"superblock"),
    ]:
        put(staged, start, block)
    staged.commit()
    new_space, new_node, superblock, rows, root, leaf, header = 400, 260, 0, 100, 220, 200, 300
    assert sorted(written[:2]) == [new_node, new_space]
    assert written[2:] == [superblock, rows, root, leaf, header]


def test_refused_writes_are_tried_again(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    staged = StagedFile(descriptor)
    put(staged, 0, b"first")
    put(staged, 10, b"second")

    def full(fd: int, block: bytes, at: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space left"):
            staged.commit()
    assert staged.waiting_bytes == 11
    put(staged, 0, b"FIRST")
    staged.commit()
    assert on_disk(descriptor) == b"FIRST" + bytes(5) + b"second"


def test_a_disk_that_writes_a_few_bytes_at_a_time(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    staged = StagedFile(descriptor)
    put(staged, 3, bytes(range(200)))
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, block, at: pwrite(fd, block[:7], at))
    staged.commit()
    assert on_disk(descriptor) == bytes(3) + bytes(range(200))


def test_readinto_and_truncate(descriptor: int) -> None:
    staged = StagedFile(descriptor)
    put(staged, 0, b"abcdef")
    buffer = bytearray(8)
    staged.seek(2)
    assert staged.readinto(memoryview(buffer)) == 4
    assert bytes(buffer) == b"cdef" + bytes(4)
    assert staged.truncate(3) == 3
    staged.commit()
    assert on_disk(descriptor) == b"abc"
    staged.truncate(5)
    staged.commit()
    assert on_disk(descriptor) == b"abc" + bytes(2)
