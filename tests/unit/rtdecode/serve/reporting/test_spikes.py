"""The `spikes` message: the spikes of the ring, complete, once, and consistent."""

from __future__ import annotations

import msgpack
import numpy as np
import pytest
from monitored import spikes_map

from rtdecode.binning import BinRing, EventBinning, EventColumns
from rtdecode.serve.reporting.spikes import MAX_BINS, SpikesReport

WIDTH_S = 0.02
N_CHANNELS = 300


class Loop:
    """A ring that is filled and emptied as in the hot loop; keeps every bin."""

    def __init__(self) -> None:
        self.ring = BinRing(N_CHANNELS, WIDTH_S)
        self.binning = EventBinning(self.ring, 0.0)
        self.rows: list[np.ndarray] = []
        self.rng = np.random.default_rng(3)

    def bins(self, n: int) -> None:
        for _ in range(n):
            start_s = len(self.rows) * WIDTH_S
            k = int(self.rng.integers(0, 40))
            time = np.sort(self.rng.uniform(start_s, start_s + WIDTH_S * 0.999, k))
            channel = self.rng.integers(0, N_CHANNELS, k).astype(np.int32)
            events = EventColumns(time, channel, np.ones(k, np.uint8), np.zeros(k, np.uint32))
            assert self.binning.add(events, k, start_s + WIDTH_S) == k
            self.binning.close_until(start_s + WIDTH_S * 1.0001)
            closed = self.ring.take()
            assert closed is not None
            self.rows.append(closed.counts.copy())


@pytest.fixture
def loop() -> Loop:
    return Loop()


def test_every_bin_is_sent_once_as_in_the_ring(loop: Loop) -> None:
    report = SpikesReport(loop.ring)
    for n in (1, 5, 6, 50, 3, 5, 49, 40):
        loop.bins(n)
        encoded = report.encoded()
        assert encoded is not None
        first = len(loop.rows) - n
        assert msgpack.unpackb(encoded) == spikes_map(first, np.array(loop.rows[first:]))
        assert report.encoded() is None


def test_features_alone_have_no_spikes() -> None:
    ring = BinRing(0, WIDTH_S, n_features=2)
    ring.open_up_to(3)
    assert ring.take() is not None
    assert SpikesReport(ring).encoded() is None


def test_nothing_is_sent_before_the_first_closed_bin(loop: Loop) -> None:
    report = SpikesReport(loop.ring)
    assert report.encoded() is None
    event = np.zeros(1), np.zeros(1, np.int32), np.ones(1, np.uint8), np.zeros(1, np.uint32)
    loop.binning.add(EventColumns(*event), 1, 0.01)
    assert report.encoded() is None


def test_after_a_long_pause_only_the_newest_bins_are_sent(loop: Loop) -> None:
    report = SpikesReport(loop.ring)
    loop.bins(180)
    encoded = report.encoded()
    assert encoded is not None
    first = 180 - MAX_BINS
    assert msgpack.unpackb(encoded) == spikes_map(first, np.array(loop.rows[first:]))


def test_rows_that_the_loop_overwrites_meanwhile_are_not_sent(loop: Loop) -> None:
    report = SpikesReport(loop.ring)
    loop.bins(20)

    class Racing(np.ndarray):
        """Counts that move on while they are copied."""

        def __getitem__(self, key: object) -> np.ndarray:
            copied = np.asarray(self)[key]
            loop.ring.cursor[:] += loop.ring.n_bins
            return copied

    honest = loop.ring.counts
    loop.ring.counts = honest.view(Racing)
    assert report.encoded() is None
    loop.ring.counts = honest
    loop.ring.cursor[:] -= loop.ring.n_bins


def test_a_bin_without_spikes_is_sent_too(loop: Loop) -> None:
    report = SpikesReport(loop.ring)
    loop.binning.close_until(5 * WIDTH_S)
    while loop.ring.take() is not None:
        pass
    encoded = report.encoded()
    assert encoded is not None
    message = msgpack.unpackb(encoded)
    assert (message["bin"], message["n_bins"], message["count"]) == (0, 5, b"")
