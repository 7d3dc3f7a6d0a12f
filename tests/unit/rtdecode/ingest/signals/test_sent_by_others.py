"""The table of docs/sources.md: what others send, and what it is taken for."""

from __future__ import annotations

import re
from typing import Any, cast

import numpy as np
import pytest
from scripted_inlet import ScriptedInlet, pull
from source_tree import ROOT

from rtdecode.binning import BinRing
from rtdecode.errors import RtdecodeError
from rtdecode.ingest.connection.choice import spike_stream
from rtdecode.ingest.signals.events import EventRules
from rtdecode.ingest.signals.features import first_values
from rtdecode.ingest.signals.feed import make_feed
from rtdecode.ingest.signals.layouts import (
    MIN_BROADBAND_RATE_HZ,
    WITH_COLUMNS,
    Layout,
    StreamDescription,
    check_against_model,
    choose_layout,
    is_features,
)
from rtdecode.ingest.signals.raster import settled_layout
from rtdecode.kernels.sequence import N_SEQUENCE_COUNTERS
from rtdecode.serve.loop.core import LoopCore
from rtdecode.serve.loop.events import CoreSettings
from rtdecode.serve.reporting.signal import signal_warnings

SHAPE = re.compile(r"(\d+) x (\w+), (?:irregular|(\d+) Hz)(, labelled)?")

TABLE = (ROOT / "docs" / "sources.md").read_text("utf-8").partition("| sent by |")[2]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TABLE.splitlines()[2:]
    if line.startswith("| ")
]


def described(row: list[str]) -> StreamDescription:
    """The stream of a row."""
    n, format_, rate_hz, labelled = SHAPE.fullmatch(row[2]).groups()  # type: ignore[union-attr]
    labels = ("channel", "unit", "seq")[: int(n)] if labelled else ()
    type_ = "" if row[1] == "any" else row[1].strip("`")
    return StreamDescription("M1", type_, int(n), float(rate_hz or 0), format_, labels=labels)


def values_of(stream: StreamDescription, taken: str) -> Any:
    """What such a source sends."""
    rng, shape = np.random.default_rng(1), (200, stream.n_columns)
    if "multiples of 50" in taken:
        return 50.0 * rng.integers(0, 3, shape)
    if "look like rates" in taken:
        return rng.integers(5, 60, shape)
    if "voltage" in taken or "detected" in taken or "negative" in taken:
        return rng.integers(-200, 200, shape)
    return rng.normal(0, 30, shape) if "fractions" in taken else rng.random(shape) < 0.05


def check_features(stream: StreamDescription, values: Any, taken: str) -> None:
    """Features are read as such by a model of features, by others only if they are announced as such."""
    check_against_model(stream, Layout.FEATURES, n_channels=0, bin_width_s=0.02)
    with pytest.raises(RtdecodeError, match="read as features, but the model reads counts"):
        check_against_model(stream, Layout.FEATURES, n_channels=96, bin_width_s=0.02)
    assert is_features(stream) == (stream.type == "Features")
    assert spike_stream(stream, None, features=True) == (Layout.FEATURES, int(not is_features(stream)))
    inlet = cast(Any, ScriptedInlet(stream.n_columns, stream.format, stream.rate_hz))
    inlet.stream = stream
    inlet.send(np.arange(200) / stream.rate_hz, values)
    seen = first_values(inlet)
    assert seen.are_rates == ("multiples" in taken)
    if "fractions" in taken:
        assert seen.fractions


def test_the_table_is_there() -> None:
    assert len(ROWS) > 20
    assert {row[3].strip("`–") for row in ROWS} == {"", *map(str, Layout)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_what_others_send_is_taken_for_what_the_table_says(row: list[str]) -> None:
    stream, taken = described(row), row[4]
    if row[3] == "–":
        with pytest.raises(
            RtdecodeError,
            match="markers, not spikes"
            if "markers" in taken
            else "too slow for spikes"
            if "too slow" in taken
            else "no spike layout",
        ):
            choose_layout(stream)
        return
    of_features = "by a model of features" in taken
    layout = choose_layout(stream, features=of_features)
    if stream.rate_hz < MIN_BROADBAND_RATE_HZ:
        assert f"`{layout}`" == row[3]
    if of_features:
        check_features(stream, values_of(stream, taken), taken)
        return
    if "refused: wider" in taken:
        with pytest.raises(RtdecodeError, match="cover 200 ms"):
            check_against_model(stream, layout, n_channels=1, bin_width_s=0.02)
        return
    if layout not in WITH_COLUMNS:
        assert taken.startswith("decoded")
        return
    dtype = {"double64": "float64"}.get(stream.format, stream.format)
    inlet = cast(Any, ScriptedInlet(stream.n_columns, dtype, stream.rate_hz))
    inlet.send(np.arange(200) / stream.rate_hz, values_of(stream, taken))
    if "refused as it is opened" in taken:
        with pytest.raises(RtdecodeError, match="look like voltage"):
            settled_layout(inlet, layout, None)
        return
    layout = settled_layout(inlet, layout, None)
    assert f"`{layout}`" == row[3]
    inlet.send(np.arange(200) / stream.rate_hz, values_of(stream, taken))
    ring, counters = BinRing(stream.n_columns, 0.02), np.zeros(N_SEQUENCE_COUNTERS, np.int64)
    feed = make_feed(layout, inlet, ring, rules=EventRules(), counters=counters)
    pull(feed)
    warned = "\n".join(signal_warnings(feed, LoopCore(CoreSettings(), ring)))
    assert bool(feed.unfit) == ("no counts:" in taken or "detected" in taken)
    assert ("look like rates" in warned) == ("look like rates" in taken)
