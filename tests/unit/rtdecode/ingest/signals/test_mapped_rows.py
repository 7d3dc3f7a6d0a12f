"""Events of other columns, types and numbers of channels, against plain Python, in any chunks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtdecode.binning import EventColumns
from rtdecode.errors import RtdecodeError
from rtdecode.ingest.signals.channel_map import ChannelMap
from rtdecode.ingest.signals.event_columns import RowColumns
from rtdecode.ingest.signals.layouts import Layout, StreamDescription
from rtdecode.ingest.signals.mapped_rows import MappedRows, rows_for
from rtdecode.ingest.signals.numbering import Numbering, check_numbering
from rtdecode.kernels import sequence

N_CHANNELS = 8
FORMATS = {"int8": "int8", "int16": "int16", "int64": "int64", "float32": "float32", "float64": "double64"}
MAP = ChannelMap(Path("map.csv"), {"1": 7, "2": 0, "100": 3})


def read(
    rows: Any, numbering: Numbering, cuts: list[int], layout: Layout = Layout.EVENTS, labels: Any = ()
) -> tuple[list[tuple[int, ...]], np.ndarray[Any, Any], Any]:
    """Read in chunks: channel, unit and losses of every accepted row, the counters, and the reader."""
    counters = np.zeros(sequence.N_SEQUENCE_COUNTERS, np.int64)
    format_ = FORMATS.get(rows.dtype.name, rows.dtype.name)
    stream = StreamDescription("M1", "", rows.shape[1], 0.0, format_, labels=labels)
    reader = rows_for(stream, layout, numbering, N_CHANNELS, counters)
    columns = EventColumns(
        np.zeros(4096), np.zeros(4096, np.int32), np.zeros(4096, np.uint8), np.zeros(4096, np.uint32)
    )
    unit, found = np.zeros(4096, np.uint8), []
    for chunk in np.split(rows, sorted(cuts)):
        if n := len(chunk):
            reader.read(chunk, n, np.ones(n, np.uint8), columns, unit)
            of = (columns.channel[:n], unit[:n], columns.lost_before[:n])
            kept = columns.accepted[:n] != 0
            found += list(zip(*(column[kept].tolist() for column in of), strict=True))
    return found, counters, reader


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(-2, 12), st.integers(-3, 120)), min_size=1, max_size=30),
    st.sampled_from(list(FORMATS)),
    st.sampled_from([0, 1, 3]),
    st.lists(st.integers(0, 30), max_size=3),
)
def test_columns_in_another_order_from_another_first_channel(
    events: list[tuple[int, int]], dtype: str, first: int, cuts: list[int]
) -> None:
    rows = np.array([(i, u, 5, c) for i, (c, u) in enumerate(events)], dtype)
    found, counters, reader = read(rows, Numbering(RowColumns(3, 1, 0), first), cuts)
    good = [(c - first, max(u, 0), 0) for c, u in events if 0 <= c - first < N_CHANNELS]
    assert found == good
    assert counters[sequence.RECEIVED] == len(events)
    assert counters[sequence.OUT_OF_RANGE] == len(events) - len(good)
    assert counters.sum() == 2 * len(events) - len(good)
    assert reader.numbered


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cuts", [[], [1, 2, 3, 4, 5], [4]])
def test_what_is_no_whole_number_is_never_rounded_to_a_channel(dtype: str, cuts: list[int]) -> None:
    rows = np.array(
        [[1, 0, 0], [2.5, 0, 1], [np.nan, 0, 2], [np.inf, 0, 3], [3, 0.5, 4], [4, 0, np.nan], [-0.0, 0, 6]],
        dtype,
    )
    found, counters, _ = read(rows, Numbering(RowColumns(0, 1, 2)), cuts)
    assert found == [(1, 0, 0), (0, 0, 0)]
    assert counters[sequence.NOT_WHOLE] == 5
    assert counters[sequence.LOST] == counters[sequence.DUPLICATE] == counters[sequence.OUT_OF_RANGE] == 0
    # A column that is not used may hold anything.
    assert len(read(rows, Numbering(RowColumns(0)), cuts)[0]) == 4


@pytest.mark.parametrize("dtype", ["int8", "int16", "int64"])
def test_a_running_number_wraps_around_as_its_type_does(dtype: str) -> None:
    numbers = np.delete(np.arange(70_000) if dtype != "int8" else np.arange(1000), [10, 300, 301])
    wrapped = numbers.astype(dtype)
    rows = np.stack((np.zeros_like(wrapped), np.zeros_like(wrapped), wrapped), axis=1)
    _, counters, reader = read(rows, Numbering(), list(range(4000, len(rows), 4000)))
    assert reader.numbered
    assert (counters[sequence.LOST], counters[sequence.DUPLICATE], counters[sequence.RENUMBERED]) == (3, 0, 0)


def test_a_running_number_that_float32_cannot_hold_is_not_used() -> None:
    numbers = (np.arange(3000) + (1 << 24) - 1000).astype(np.float32)
    rows = np.stack((np.zeros_like(numbers), np.zeros_like(numbers), numbers), axis=1)
    found, counters, reader = read(rows, Numbering(RowColumns(0, 1, 2)), list(range(100, 3000, 100)))
    assert len(found) == 3000
    assert counters[sequence.LOST] == counters[sequence.DUPLICATE] == 0
    assert not reader.numbered


@pytest.mark.parametrize("layout", [Layout.EVENTS, Layout.SNIPPETS, Layout.CHANNEL])
def test_a_channel_map_leaves_out_what_it_does_not_name(layout: Layout) -> None:
    rows = np.array([[1, 4, 0], [2, 4, 1], [3, 4, 2], [-1, 4, 3], [100, 4, 4]], np.int32)
    rows = rows[:, :1] if layout is Layout.CHANNEL else rows
    found, counters, _ = read(rows, Numbering(channel_map=MAP), [2], layout)
    assert [channel for channel, *_ in found] == [7, 0, 3]
    assert {unit for _, unit, _ in found} == {0 if layout is Layout.CHANNEL else 4}
    assert (counters[sequence.UNMAPPED], counters[sequence.OUT_OF_RANGE]) == (2, 0)


def test_labels_say_which_column_is_what() -> None:
    rows = np.array([[9.0, 3.0, 1.0], [7.0, 4.0, 2.0]], np.float64)
    found, counters, reader = read(rows, Numbering(), [], labels=("amplitude", "channel", "unit"))
    assert found == [(3, 1, 0), (4, 2, 0)]
    assert not reader.numbered
    assert counters[sequence.NOT_WHOLE] == 0


def test_the_plain_layouts_are_read_as_before() -> None:
    for layout, n, format_ in (("events", 3, "int32"), ("snippets", 9, "int16"), ("channel", 1, "int16")):
        stream = StreamDescription("M1", "", n, 0.0, format_)
        counters = np.zeros(sequence.N_SEQUENCE_COUNTERS, np.int64)
        assert not isinstance(rows_for(stream, Layout(layout), Numbering(), 8, counters), MappedRows)
        assert isinstance(rows_for(stream, Layout(layout), Numbering(None, 1), 8, counters), MappedRows)


@pytest.mark.parametrize(
    ("layout", "numbering", "drop", "said"),
    [
        (Layout.SNIPPETS, Numbering(RowColumns()), None, "--columns: is about the layout events"),
        (Layout.EVENTS, Numbering(RowColumns()), {255}, "--drop-units: the columns .* have no sorted units"),
        (Layout.EVENTS, Numbering(None, 1, MAP), None, "--first-channel: .* both say which channel is which"),
        (Layout.COUNTS, Numbering(None, 1), None, "--first-channel: counts have a column for each channel"),
        (Layout.COUNTS, Numbering(channel_map=MAP), None, "--channel-map: counts are in the order"),
        (
            Layout.EVENTS,
            Numbering(channel_map=ChannelMap(Path("m"), {"a": 0})),
            None,
            "m: names channel 'a' by a label",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(
    layout: Layout, numbering: Numbering, drop: set[int] | None, said: str
) -> None:
    with pytest.raises(RtdecodeError, match=f"{said}.*Fix: "):
        check_numbering(layout, numbering, frozenset(drop) if drop else None)
    check_numbering(layout, Numbering(), None)


def test_labels_without_units_leave_none_to_drop() -> None:
    stream = StreamDescription("M1", "", 2, 0.0, "float32", labels=("channel", "seq"))
    with pytest.raises(RtdecodeError, match=r"stream M1 .*channel=0,unit=-,seq=1 have no sorted units"):
        check_numbering(Layout.EVENTS, Numbering(), frozenset({255}), stream)
