"""Replies of SpikeGLX's command server: the same in any cut; what is none is an error, never data."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtdecode.tools.bridge.spikeglx.replies import GarbledError, Replies, Reply


def fetched(first: int, n: int) -> bytes:
    values = np.arange(first, first + 2 * n).astype("<i2")
    return f"BINARY_DATA 2 {n} uint64({first})\n".encode() + values.tobytes() + b"OK\n"


@settings(max_examples=100, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(["value", "error", "nothing", "fetch", "empty"]), max_size=12),
    at=st.lists(st.integers(0, 2000), max_size=40),
)
def test_any_cut_gives_the_same_replies(kinds: list[str], at: list[int]) -> None:
    texts = {
        "value": b"30000.000000\nOK\n",
        "error": b"ERROR FETCH: Too late.\n",
        "nothing": b"OK\n",
        # Its values contain "\n" and "OK\n".
        "fetch": fetched(2560, 40),
        "empty": fetched(7, 0),
    }
    data = b"".join(texts[kind] for kind in kinds)
    edges = [0, *sorted(each % (len(data) + 1) for each in at), len(data)]
    replies, found = Replies(), list[Reply]()
    for first, last in itertools.pairwise(edges):
        found += replies.feed(data[first:last])
    assert len(found) == len(kinds)
    for kind, reply in zip(kinds, found, strict=True):
        assert reply.lines == (("30000.000000",) if kind == "value" else ())
        assert reply.error == ("FETCH: Too late." if kind == "error" else None)
        if kind in ("fetch", "empty"):
            assert reply.values is not None
            assert reply.values.shape == (40 if kind == "fetch" else 0, 2)
            assert reply.first == (2560 if kind == "fetch" else 7)
            assert (reply.values.ravel() == reply.first + np.arange(reply.values.size)).all()
        else:
            assert reply.values is None


@pytest.mark.parametrize(
    "data",
    [
        b"BINARY_DATA 2 x uint64(5)\n",
        b"BINARY_DATA 999999 999999999 uint64(5)\n",
        b"BIN\x00RY\n",
        fetched(0, 3).replace(b"OK\n", b"O\n"),
        b"a" * 200_000,
    ],
)
def test_what_is_no_reply_is_an_error(data: bytes) -> None:
    with pytest.raises(GarbledError):
        Replies().feed(data)
