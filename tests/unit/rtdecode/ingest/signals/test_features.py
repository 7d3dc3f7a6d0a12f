"""Columns are found by their labels, unknown values stay so, and counts are told from other numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from scripted_inlet import ScriptedInlet, pull

from rtdecode.artifact import FeatureColumn
from rtdecode.binning import BinRing
from rtdecode.errors import RtdecodeError
from rtdecode.ingest.signals.events import EventRules
from rtdecode.ingest.signals.features import (
    FeatureFeed,
    check_columns,
    columns_of,
    described_columns,
    first_values,
    other_units,
)
from rtdecode.ingest.signals.feed import reading_of
from rtdecode.ingest.signals.layouts import StreamDescription
from rtdecode.kernels import sequence
from rtdecode.serve.loop.core import LoopCore
from rtdecode.serve.loop.events import CoreSettings
from rtdecode.serve.reporting.losses import feature_warnings, loss_warnings, stream_counters
from rtdecode.serve.reporting.signal import signal_warnings
from rtdecode.session.doctor.values import ValueJudge

WANTED = (FeatureColumn("a", "power", "uV"), FeatureColumn("b", "count", ""))
STREAM = StreamDescription(
    "P",
    "Features",
    3,
    50.0,
    "float32",
    labels=("b", "x", "a"),
    units=("n", "", "mV"),
    kinds=("count", "", ""),
)


def feed_of(stream: StreamDescription = STREAM, n_features: int = 2) -> tuple[FeatureFeed, ScriptedInlet]:
    inlet = ScriptedInlet(stream.n_columns, stream.format, stream.rate_hz)
    inlet.stream = stream
    ring = BinRing(0, 0.02, n_features=n_features)
    counters = np.zeros(sequence.N_SEQUENCE_COUNTERS, np.int64)
    return FeatureFeed(cast(Any, inlet), ring, rules=EventRules(features=WANTED), counters=counters), inlet


def warnings_of(feed: FeatureFeed) -> str:
    core = LoopCore(CoreSettings(), feed.ring)
    totals = stream_counters(feed._counters, core)
    return "\n".join([*signal_warnings(feed, core), *loss_warnings(totals, 0, feed)])


def test_columns_are_found_by_their_labels_in_any_order() -> None:
    assert columns_of(STREAM, WANTED) == [2, 0]
    without = replace(STREAM, labels=(), units=(), kinds=(), n_columns=2)
    assert columns_of(without, WANTED) == [0, 1]
    assert columns_of(replace(without, labels=("", "")), WANTED) == [0, 1]
    assert other_units(STREAM, WANTED) == ["a"]
    assert other_units(without, WANTED) == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"labels": ("b", "x", "y")}, "it lacks 1 of the 2 features that are read: a. Fix: label"),
        ({"labels": ("a", "a", "b"), "kinds": ()}, "several of its columns are called a. Fix: give each"),
        ({"labels": ()}, "its 3 columns have no labels, and 2 features are read. Fix: label"),
        (
            {"kinds": ("rate", "", "power")},
            "column b is described as rate, and is read as count. Fix: correct",
        ),
    ],
)
def test_other_columns_are_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RtdecodeError, match=f"stream P .*{complaint}"):
        check_columns(replace(STREAM, **changes), WANTED)


def test_columns_are_described_and_each_has_a_name_of_its_own() -> None:
    found = described_columns(replace(STREAM, labels=("a", "", "a")), otherwise="other")
    assert [(each.name, each.kind, each.units) for each in found] == [
        ("a.0", "count", "n"),
        ("f1", "other", ""),
        ("a.2", "other", "mV"),
    ]
    assert described_columns(replace(STREAM, labels=(), units=(), kinds=()), otherwise="rate")[2].name == "f2"


def test_samples_become_the_features_of_bins() -> None:
    feed, inlet = feed_of()
    assert reading_of(feed) == "features (1 power, 1 count: a, b)"
    inlet.send([0.02, 0.04, 0.06], [[1, 9, 2], [3, 9, np.inf], [np.nan, 9, 4]])
    n = pull(feed)
    feed.anchor(0.0, n)
    taken = []
    at = 0
    while at < n:
        at = feed.add(at, n, 1.0)
        while (closed := feed.ring.take()) is not None:
            taken.append(closed.features.tolist())
    np.testing.assert_array_equal(taken, [[2, 1], [np.nan, 3], [4, np.nan]])
    assert feed._counters[sequence.NOT_A_COUNT] == 1
    assert "infinity in column 0 (1 value), taken for unknown" in warnings_of(feed)


def test_what_means_nothing_is_a_warning_or_doubted() -> None:
    feed, inlet = feed_of()
    time = np.arange(1, 301) * 0.02
    inlet.send(time, np.column_stack((np.full(300, 7.0), np.zeros(300), np.full(300, np.nan))))
    pull(feed)
    assert feed.unfit == ""
    said = warnings_of(feed)
    assert "1 of 2 features are always NaN, a among them" in said
    assert "1 of 2 features never change, b among them" in said
    feed, inlet = feed_of()
    inlet.send(time, np.full((300, 3), np.nan))
    pull(feed)
    assert feed.unfit == "its values are NaN or infinite"
    inlet.send(time[-1] + time, np.ones((300, 3)))
    pull(feed)
    assert feed.unfit == ""
    feed, inlet = feed_of()
    inlet.send(time, np.random.default_rng(0).integers(0, 4, (300, 3)) * 50.0)
    pull(feed)
    assert "multiples of 50, as rates in Hz are, and are read as count and power" in warnings_of(feed)
    feed, inlet = feed_of()
    inlet.send(np.arange(1, 101) / 100.0, np.random.default_rng(0).normal(size=(100, 3)))
    pull(feed)
    assert feed.unfit == "it sends at 100.0 Hz, not at the 50 Hz that it announces"
    assert [line.split(":")[0] for line in feature_warnings(300, 400, 10_000)] == [
        "300 of 10,000 (3.0 %) features are unknown, and taken for their mean",
        "400 of 10,000 (4.0 %) features are beyond 8 SD of their mean",
    ]
    assert feature_warnings(20, 99, 10_000) == []


@pytest.mark.parametrize(
    ("values", "rate_hz", "fractions", "rates"),
    [
        (np.arange(40.0), 50.0, False, False),
        (np.arange(40.0) * 50.0, 50.0, False, True),
        (np.arange(40.0) * 15.625, 15.625, True, True),
        (np.arange(-20, 20) * 50.0, 50.0, False, False),
        (np.arange(40.0) * 0.3, 50.0, True, False),
        (np.arange(40.0) * 2.0, 2.0, False, False),
        (np.zeros(40), 50.0, False, False),
        (np.array([np.nan, np.inf, 3.0]), 50.0, False, False),
    ],
)
def test_counts_are_told_from_rates_and_other_numbers(
    values: Any, rate_hz: float, fractions: bool, rates: bool
) -> None:
    judge = ValueJudge(rate_hz)
    judge.see(values.astype("f4"))
    assert (judge.fractions, judge.are_rates) == (fractions, rates)


def test_the_first_values_are_awaited_until_they_tell() -> None:
    inlet = ScriptedInlet(2, "float32", 50.0)
    inlet.send([0.02], [[1.5, 2.0]])
    assert first_values(cast(Any, inlet)).fractions
