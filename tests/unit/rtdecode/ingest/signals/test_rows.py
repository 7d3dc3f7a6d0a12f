"""Rows of the event layouts into columns, against plain Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtdecode.binning import EventColumns
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.ingest.signals.rows import rows_of
from rtdecode.kernels import sequence

N_CHANNELS = 8


def read(
    layout: Layout, chunks: list[np.ndarray[Any, Any]]
) -> tuple[list[tuple[int, int, int, int]], list[int]]:
    """Read chunk after chunk; the columns of every row, and the counters."""
    counters = np.zeros(sequence.N_SEQUENCE_COUNTERS, np.int64)
    reader = rows_of(layout, N_CHANNELS, counters)
    columns = EventColumns(
        np.zeros(64), np.zeros(64, np.int32), np.zeros(64, np.uint8), np.zeros(64, np.uint32)
    )
    unit = np.zeros(64, np.uint8)
    found: list[tuple[int, int, int, int]] = []
    for chunk in chunks:
        buffer = np.zeros((64, chunk.shape[1]), chunk.dtype)
        buffer[: len(chunk)] = chunk
        n = len(chunk)
        reader.read(buffer, n, np.ones(n, np.uint8), columns, unit)
        read = (columns.channel[:n], unit[:n], columns.accepted[:n], columns.lost_before[:n])
        found += list(zip(*(column.tolist() for column in read), strict=True))
    return found, counters.tolist()


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(-5, N_CHANNELS + 5), st.integers(-300, 300)), min_size=1, max_size=40),
    st.sampled_from(["int16", "int32", "int64"]),
    st.data(),
)
def test_plain_rows_do_not_depend_on_the_chunks(
    events: list[tuple[int, int]], dtype: str, data: st.DataObject
) -> None:
    rows = np.array([(c, u, 7, -9) for c, u in events], dtype)
    cut = data.draw(st.integers(0, len(rows)))
    chunks = [chunk for chunk in (rows[:cut], rows[cut:]) if len(chunk)]
    found, counters = read(Layout.SNIPPETS, chunks)
    good = [0 <= c < N_CHANNELS for c, _ in events]
    assert [row[2] for row in found] == [int(ok) for ok in good]
    assert [row[0] for row, ok in zip(found, good, strict=True) if ok] == [c for c, _ in events if 0 <= c < 8]
    assert [row[1] for row in found] == [min(max(u, 0), 255) for _, u in events]
    assert counters[sequence.RECEIVED] == len(events)
    assert counters[sequence.OUT_OF_RANGE] == good.count(False)
    assert counters[sequence.LOST] == counters[sequence.DUPLICATE] == 0


@pytest.mark.parametrize("value", [2**31, 2**40 + 3, -(2**33)])
def test_a_number_beyond_int32_is_no_channel(value: int) -> None:
    found, counters = read(Layout.CHANNEL, [np.array([[value]], np.int64)])
    assert found[0][2] == 0
    assert counters[sequence.OUT_OF_RANGE] == 1


@pytest.mark.parametrize(("number", "used"), [
    (lambda i: i, True), (lambda i: i // 2, True), (lambda i: 7, False), (lambda i: i % 40, False),
])  # fmt: skip
@pytest.mark.parametrize("pull", [1, 9, 64])
def test_a_third_column_that_is_no_running_number_is_not_used(
    number: Callable[[int], int], used: bool, pull: int
) -> None:
    rows = np.array([(i % N_CHANNELS, 0, number(i)) for i in range(1000)], np.int32)
    counters = np.zeros(sequence.N_SEQUENCE_COUNTERS, np.int64)
    reader = rows_of(Layout.EVENTS, N_CHANNELS, counters)
    columns = EventColumns(
        np.zeros(64), np.zeros(64, np.int32), np.zeros(64, np.uint8), np.zeros(64, np.uint32)
    )
    unit, accepted = np.zeros(64, np.uint8), 0
    for at in range(0, 1000, pull):
        chunk = rows[at : at + pull]
        reader.read(chunk, len(chunk), np.ones(64, np.uint8), columns, unit)
        accepted += int(columns.accepted[: len(chunk)].sum())
    assert reader.numbered is used
    assert counters[sequence.RECEIVED] == 1000 == accepted + counters[sequence.DUPLICATE]
    if not used:
        assert accepted > 800
