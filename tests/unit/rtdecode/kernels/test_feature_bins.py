"""Features of bins live are those of the same samples in a file, to the bit, whatever the chunks."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rtdecode.binning import BinRing, CountBinning, SampleColumns
from rtdecode.kernels.arrays import F8, I8
from rtdecode.session.bins import features_alone
from rtdecode.session.layout import Features

WIDTH_S = 0.02
KINDS = ("power", "count", "other")


def binned_live(number: I8, values: F8, period_s: float, cuts: list[int]) -> F8:
    """The features f8[T, F] of the bins that the samples close, in pieces that end at `cuts`."""
    ring = BinRing(0, WIDTH_S, 5, n_features=values.shape[1])
    ring.features.counted[:] = [kind == "count" for kind in KINDS]
    binning = CountBinning(ring, period_s, anchor_bin=0)
    n = len(number)
    columns = SampleColumns(
        (number + 1.0) * period_s,
        np.zeros((n, 0), np.uint8),
        number,
        np.ones(n, np.uint8),
        np.zeros(n, np.uint32),
    )
    taken = []
    at = 0
    for end in (*sorted(cuts), n):
        while at < end:
            at = binning.add(columns, end, 1e9, at, values)
            while (closed := ring.take()) is not None:
                assert closed.counts.shape == (0,)
                taken.append(closed.features.copy())
    return np.array(taken).reshape(len(taken), values.shape[1])


@settings(max_examples=60, deadline=None)
@given(data=st.data(), period_s=st.sampled_from([0.001, 0.005, 0.008, 0.0125, 0.02]))
def test_live_bins_are_those_of_the_file(data: st.DataObject, period_s: float) -> None:
    n = data.draw(st.integers(1, 120))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    lost = rng.random(n) < data.draw(st.sampled_from([0.0, 0.1, 0.6]))
    lost[0] = False
    number = np.flatnonzero(~lost)
    values = rng.normal(size=(len(number), len(KINDS))).astype("f4").astype("f8")
    values[rng.random(values.shape) < data.draw(st.sampled_from([0.0, 0.3]))] = np.nan
    recorded = Features(
        (number + 1.0) * period_s,
        values.astype("f4"),
        ("a", "b", "c"),
        KINDS,
        ("",) * 3,
        period_s,
    )
    offline, edges = features_alone(recorded, WIDTH_S)
    cuts = data.draw(st.lists(st.integers(0, len(number)), max_size=4))
    live = binned_live(number, values, period_s, cuts)
    # Live, a bin is closed by the next sample too, before it is complete.
    assert len(edges) == len(offline) + 1
    np.testing.assert_array_equal(live[: len(offline)], offline[: len(live)])
    assert abs(len(live) - len(offline)) <= 1


def test_a_late_sample_is_carried_and_a_bin_without_any_takes_the_value_before() -> None:
    ring = BinRing(0, WIDTH_S, 10, n_features=2)
    ring.features.counted[:] = [0, 1]
    binning = CountBinning(ring, WIDTH_S, anchor_bin=0)

    def add(number: int, value: float) -> None:
        columns = SampleColumns(
            np.array([(number + 1) * WIDTH_S]),
            np.zeros((1, 0), np.uint8),
            np.array([number]),
            np.ones(1, np.uint8),
            np.zeros(1, np.uint32),
        )
        binning.add(columns, 1, 1e9, features=np.array([[value, value]]))

    def taken() -> list[float]:
        closed = ring.take()
        assert closed is not None
        return [*closed.features.tolist(), closed.late]

    add(0, 4.0)
    ring.open_up_to(2)  # by the clock
    add(1, 6.0)
    add(2, 1.0)
    ring.open_up_to(5)
    assert taken() == [4.0, 4.0, 0]
    assert taken() == [4.0, 0.0, 0]
    assert taken() == [3.5, 7.0, 1]
    assert taken() == [1.0, 0.0, 0]  # the latest, not the one that was carried
    np.testing.assert_array_equal(taken()[:2], [np.nan, np.nan])
    add(5, 2.0)
    ring.empty_open_bin()
    ring.open_up_to(7)
    np.testing.assert_array_equal(taken()[:2], [2.0, 2.0])
    np.testing.assert_array_equal(taken()[:2], [2.0, 0.0])
