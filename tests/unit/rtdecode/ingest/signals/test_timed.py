"""Counts and features beside other arrays are in the bins that have the middles of their samples."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_inlet import ScriptedInlet

from rtdecode.artifact import FeatureColumn
from rtdecode.binning import BinRing
from rtdecode.ingest.signals.events import EventRules
from rtdecode.ingest.signals.feed import make_array_feed
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.kernels.sequence import N_SEQUENCE_COUNTERS
from rtdecode.session.bins import features_at
from rtdecode.session.layout import Features

WIDTH_S, ORIGIN_S, T = 0.02, 100.0, 40
COLUMNS = (FeatureColumn("a", "power", "uV"), FeatureColumn("b", "count", ""))


def binned(
    layout: Layout, values: Any, ends: Any, rate_hz: float, chunks: list[int]
) -> tuple[list[Any], list[Any]]:
    """Counts and features of the first T bins."""
    features = COLUMNS if layout is Layout.FEATURES else ()
    dtype = "float32" if features else "int32"
    inlet = cast(Any, ScriptedInlet(values.shape[1], dtype, rate_hz))
    ring = BinRing(0 if features else values.shape[1], WIDTH_S, n_features=len(features))
    counters = np.zeros(N_SEQUENCE_COUNTERS, np.int64)
    feed = make_array_feed(layout, inlet, ring, rules=EventRules(features=features), counters=counters)
    feed.anchor(ORIGIN_S, 0)
    found: tuple[list[Any], list[Any]] = ([], [])
    at, possible = 0, np.ones(len(values), np.uint8)
    while at < len(values):
        n = min(chunks[at % len(chunks)], len(values) - at)
        inlet.send(ends[at : at + n], values[at : at + n])
        n = inlet.pull(0.0)
        feed.read(n, possible)
        added = 0
        while added < n:
            added = feed.add(added, n, float(ends[at + n - 1]))
            while (closed := ring.take()) is not None:
                found[0].append(closed.counts.copy())
                found[1].append(closed.features.copy())
        at += n
    return found[0][:T], found[1][:T]


chunked = st.lists(st.integers(1, 60), min_size=1, max_size=6)


@settings(max_examples=25, deadline=None)
@given(chunks=chunked, rate_hz=st.sampled_from([50.0, 100.0, 1000.0]), phase=st.floats(0.0, 1.0))
def test_counts_are_in_the_bin_of_their_middle(chunks: list[int], rate_hz: float, phase: float) -> None:
    rng, n = np.random.default_rng(0), int(1.2 * T * WIDTH_S * rate_hz)
    values = rng.poisson(0.4, (n, 5)).astype(np.int32)
    ends = ORIGIN_S + (np.arange(n) + phase) / rate_hz
    counts, _ = binned(Layout.COUNTS, values, ends, rate_hz, chunks)
    bins = np.floor((ends - 0.5 / rate_hz - ORIGIN_S) / WIDTH_S + 1e-7).astype(int)
    expected = np.zeros((T, 5), int)
    inside = (bins >= 0) & (bins < T)
    np.add.at(expected, bins[inside], values[inside])
    # A middle that is an edge may be on either side of it.
    if abs(phase - 0.5) % 1.0 > 1e-3:
        np.testing.assert_array_equal(np.array(counts), expected[: len(counts)])
    assert len(counts) >= T - 2


@settings(max_examples=25, deadline=None)
@given(chunks=chunked, rate_hz=st.sampled_from([50.0, 100.0, 1000.0]), phase=st.floats(0.05, 0.45))
def test_features_are_as_offline(chunks: list[int], rate_hz: float, phase: float) -> None:
    rng, n = np.random.default_rng(0), int(1.2 * T * WIDTH_S * rate_hz)
    values = rng.normal(0, 1, (n, 2)).astype(np.float32)
    values[rng.random((n, 2)) < 0.1] = np.nan
    ends = ORIGIN_S + (np.arange(1, n + 1) + phase) / rate_hz
    _, live = binned(Layout.FEATURES, values, ends, rate_hz, chunks)
    names, kinds, units = (tuple(getattr(c, part) for c in COLUMNS) for part in ("name", "kind", "units"))
    recorded = Features(ends, values, names, kinds, units, 1.0 / rate_hz)
    offline = features_at(recorded, ORIGIN_S + np.arange(T + 1) * WIDTH_S)
    np.testing.assert_array_equal(np.array(live), offline[: len(live)])
    assert len(live) >= T - 2


@pytest.mark.parametrize("layout", [Layout.COUNTS, Layout.FEATURES])
def test_a_bin_waits_for_the_sample_that_has_its_middle_in_it(layout: Layout) -> None:
    features = COLUMNS if layout is Layout.FEATURES else ()
    inlet = cast(Any, ScriptedInlet(2, "float32" if features else "int32", 50.0))
    ring = BinRing(0 if features else 2, WIDTH_S, n_features=len(features))
    counters = np.zeros(N_SEQUENCE_COUNTERS, np.int64)
    feed = make_array_feed(layout, inlet, ring, rules=EventRules(features=features), counters=counters)
    edges = feed.anchor(ORIGIN_S, 0)
    assert edges.complete_at_s(0) == pytest.approx(edges.bin_end_s(0) + 0.01)
