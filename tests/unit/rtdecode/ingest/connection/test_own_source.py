"""A source of one's own is a stream like any other, whatever it does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rtdecode.artifact import FeatureColumn
from rtdecode.binning import BinRing
from rtdecode.errors import RtdecodeError
from rtdecode.ingest import SourceLost, StreamDescription
from rtdecode.ingest.connection.choice import NeedsOption, spike_stream
from rtdecode.ingest.connection.inlet import MAX_PULL, Inlet, StreamLost
from rtdecode.ingest.connection.own_source import (
    SourceConnector,
    SourceInlet,
    check_sources,
    connector_for,
)
from rtdecode.ingest.signals.events import EventRules
from rtdecode.ingest.signals.feed import make_feed
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.kernels.sequence import N_SEQUENCE_COUNTERS

N_CHANNELS, WIDTH_S, N_BINS = 4, 0.02, 50
EVENTS = StreamDescription("device", "Spikes", 3, 0.0, "int32", source_id="rig", n_channels=N_CHANNELS)
COUNTS = StreamDescription("device", "", N_CHANNELS, 100.0, "int16")
FEATURES = StreamDescription("device", "Features", 2, 100.0, "double64")

Pull = Callable[[NDArray[Any], NDArray[np.float64]], Any]


class Device:
    """A source whose pulls are those of a function."""

    def __init__(self, pull: Pull = lambda *_: 0, stream: StreamDescription = EVENTS) -> None:
        self.stream, self._pull, self.closed = stream, pull, threading.Event()

    def pull(self, samples: NDArray[Any], time: NDArray[np.float64], timeout_s: float) -> int:
        n: int = self._pull(samples, time)
        return n

    def close(self) -> None:
        assert not self.closed.is_set()
        self.closed.set()


def played(times: NDArray[np.float64], rows: NDArray[Any], sizes: Iterator[int]) -> Pull:
    """Pulls of so many rows each, until the last."""
    at = 0

    def pull(samples: NDArray[Any], time: NDArray[np.float64]) -> int:
        nonlocal at
        n = min(next(sizes), len(times) - at)
        time[:n], samples[:n] = times[at : at + n], rows[at : at + n]
        at += n
        return n

    return pull


def bins_of(layout: Layout, device: Device, n_rows: int) -> NDArray[Any]:
    """What becomes of all that a source sends."""
    inlet = SourceInlet("M1", device, 0.0)
    features = tuple(FeatureColumn(name, "", "power") for name in "ab") if layout is Layout.FEATURES else ()
    ring = BinRing(0 if features else N_CHANNELS, WIDTH_S, n_features=len(features))
    rules, counters = EventRules(features=features), np.zeros(N_SEQUENCE_COUNTERS, np.int64)
    feed = make_feed(layout, inlet, ring, rules=rules, counters=counters)
    taken: list[NDArray[Any]] = []

    def take() -> None:
        while (closed := ring.take()) is not None:
            taken.append((closed.features if features else closed.counts).copy())

    while n_rows:
        n = inlet.pull(0.0)
        n_rows -= n
        if not n:
            continue
        feed.read(n, np.ones(n, np.uint8))
        if feed.binning is None:
            feed.anchor(0.0, n)
        at = 0
        while at < n:
            at = feed.add(at, n, 1.0)
            take()
    assert feed.binning is not None
    feed.binning.close_until(N_BINS * WIDTH_S)
    take()
    return np.array(taken[:N_BINS])


@pytest.mark.parametrize(
    ("layout", "stream"), [(Layout.EVENTS, EVENTS), (Layout.COUNTS, COUNTS), (Layout.FEATURES, FEATURES)]
)
@pytest.mark.parametrize("most", [1, 7, 400])
def test_bins_are_the_same_in_whatever_pieces_rows_come(
    layout: Layout, stream: StreamDescription, most: int
) -> None:
    rng = np.random.default_rng(most)
    if layout is Layout.EVENTS:
        n = 1500
        times = np.sort(rng.uniform(0.0, N_BINS * WIDTH_S, n))
        rows = np.stack((rng.integers(0, N_CHANNELS, n), np.zeros(n), np.arange(n)), axis=1).astype(np.int32)
    else:
        times = np.arange(1, 2 * N_BINS + 1) / stream.rate_hz
        rows = rng.integers(0, 9, (len(times), stream.n_columns))
    sizes = iter(lambda: int(rng.integers(0, most + 1)), None)
    device = Device(played(times, rows, sizes), stream)
    found = bins_of(layout, device, len(times))
    if layout is Layout.EVENTS:
        expected = np.histogram2d(
            times, rows[:, 0], [N_BINS, N_CHANNELS], [(0, N_BINS * WIDTH_S), (0, N_CHANNELS)]
        )[0]
    else:
        pairs = rows.reshape(N_BINS, 2, -1)
        expected = pairs.mean(axis=1) if layout is Layout.FEATURES else pairs.sum(axis=1)
    np.testing.assert_array_equal(found, expected[: len(found)])
    assert len(found) >= N_BINS - 1


def test_its_description_and_its_offset_are_those_of_an_inlet() -> None:
    def pull(samples: NDArray[Any], time: NDArray[np.float64]) -> int:
        assert samples.shape == (MAX_PULL, 3)
        assert samples.dtype == np.int32
        samples[0], time[0] = (1, 0, 0), 5.0
        return 1

    inlet = SourceInlet("M1", Device(pull), 2.0)
    assert (inlet.stream.name, inlet.stream.source_id, inlet.opened_s) == ("M1", "rig", 2.0)
    assert inlet.stream.hostname
    inlet.offset_s = -30.0
    assert inlet.pull(0.0) == 1
    assert inlet.time[0] == -25.0


def stamped(n: Any, *stamps: float) -> Pull:
    def pull(samples: NDArray[Any], time: NDArray[np.float64]) -> Any:
        time[: len(stamps)] = stamps
        return n

    return pull


def fails(error: Exception) -> Pull:
    def pull(*_: Any) -> int:
        raise error

    return pull


@pytest.mark.parametrize(
    ("pull", "reason"),
    [
        (stamped(2, 1.0, np.nan), "its source has stamped 1 of 2 rows with no time (NaN or infinite)"),
        (stamped(3, 1.0), "its source has stamped 2 of 3 rows with no time (NaN or infinite)"),
        (stamped(MAX_PULL + 1), "its source says that it has pulled 4097 rows, of at most 4096"),
        (stamped(-1), "its source says that it has pulled -1 rows, of at most 4096"),
        (stamped(None), "its source says that it has pulled None rows, of at most 4096"),
        (fails(SourceLost("unplugged")), "its source is gone: unplugged"),
        (
            fails(OSError("no device")),
            "its source is gone: OSError: no device (test_own_source.py, ",
        ),
    ],
)
def test_what_no_source_may_do_ends_it_with_one_sentence(pull: Pull, reason: str) -> None:
    inlet = SourceInlet("M1", Device(pull), 0.0)
    with pytest.raises(StreamLost) as lost:
        inlet.pull(0.0)
    assert lost.value.reason.startswith(reason)


@pytest.mark.parametrize("stream", [("", 1, 0.0, "string"), ("", 0, 50.0, "int32"), ("", 4, -1.0, "int32")])
def test_rows_without_numbers_are_refused(stream: tuple[str, int, float, str]) -> None:
    with pytest.raises(RtdecodeError, match=r"stream M1: its rows are described as device .*Fix: describe"):
        SourceInlet("M1", Device(stream=StreamDescription("device", *stream)), 0.0)


def accept(inlet: Inlet, layout: Layout) -> Layout:
    return layout


@pytest.fixture
def connect() -> Iterator[Callable[..., SourceConnector[Layout]]]:
    """Starts a connector of a source that each of some openers opens in turn, the last for ever."""
    started: list[SourceConnector[Layout]] = []

    def start(*openers: Callable[[], Device], accept: Any = accept) -> SourceConnector[Layout]:
        left = list(openers)
        open_next = lambda: (left.pop(0) if len(left) > 1 else left[0])()  # noqa: E731
        classify = partial(spike_stream, override=None)
        connector = SourceConnector("M1", open_next, classify, accept, retry_s=0.05)
        connector.start()
        started.append(connector)
        return connector

    yield start
    for connector in started:
        connector.stop()


def broken() -> Device:
    raise OSError("no device")


def test_a_source_that_cannot_be_opened_is_said_and_opened_later(
    connect: Callable[..., SourceConnector[Layout]],
) -> None:
    go_on, said, device = threading.Event(), list[str](), Device()

    def third() -> Device:
        said.append(connector.problems()[0])
        go_on.wait(5.0)
        return broken()

    connector = connect(broken, broken, third, lambda: device)
    assert not connector.ready.wait(0.2)
    go_on.set()
    assert connector.ready.wait(5.0)
    assert connector.problems() == []
    assert "stream M1: its source cannot be opened, and is tried again: OSError: no device (" in said[0]
    taken = connector.take()
    assert taken is not None
    assert taken[1] is Layout.EVENTS
    assert connector.take() is None


def test_a_lost_source_is_closed_and_opened_again_and_the_last_one_closed_at_the_end(
    connect: Callable[..., SourceConnector[Layout]],
) -> None:
    first, second = Device(), Device()
    connector = connect(lambda: first, lambda: second)
    assert connector.ready.wait(5.0)
    taken = connector.take()
    assert taken is not None
    # One that is only silent is left alone.
    connector.request(replacing=taken[0])
    connector.withdraw()
    assert not connector.ready.wait(0.2)
    connector.dispose(taken[0])
    connector.request()
    assert connector.ready.wait(5.0)
    assert first.closed.is_set()
    assert not second.closed.is_set()
    connector.stop()
    assert second.closed.is_set()


@pytest.mark.parametrize(("kind", "ends"), [(RtdecodeError, False), (NeedsOption, True)])
def test_what_does_not_fit_is_said_and_what_needs_an_option_ends_the_wait(
    connect: Callable[..., SourceConnector[Layout]], kind: type[RtdecodeError], ends: bool
) -> None:
    tried = threading.Event()

    def refuse(inlet: Inlet, layout: Layout) -> Layout:
        if connector.refusal == "stream M1: has 4 channels":
            tried.set()
        raise kind("has 4 channels", where="stream M1")

    connector = connect(Device, accept=refuse)
    assert tried.wait(5.0)
    assert (connector.failure is not None) == ends
    assert not connector.ready.is_set()


def test_a_source_belongs_to_a_stream_that_is_given() -> None:
    check_sources({"M1"}, ("M1", "PMd"))
    with pytest.raises(RtdecodeError, match=r"--stream: the program has a source 'M2' .* Fix: give --stream"):
        check_sources({"M2"}, ("M1", "PMd"))
    classify = partial(spike_stream, override=None)
    found = [connector_for(name, {"M1": Device}, classify, accept, None) for name in ("M1", "PMd")]
    assert [isinstance(each, SourceConnector) for each in found] == [True, False]
