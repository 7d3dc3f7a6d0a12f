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
from rtdecode.ingest.signals.events import EventRules
from rtdecode.ingest.signals.feed import make_feed
from rtdecode.ingest.signals.layouts import (
    MIN_BROADBAND_RATE_HZ,
    WITH_COLUMNS,
    Layout,
    StreamDescription,
    check_against_model,
    choose_layout,
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
    if "look like rates" in taken:
        return rng.integers(5, 60, shape)
    if "voltage" in taken or "detected" in taken or "negative" in taken:
        return rng.integers(-200, 200, shape)
    return rng.normal(0, 30, shape) if "fractions" in taken else rng.random(shape) < 0.05


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
    layout = choose_layout(stream)
    if stream.rate_hz < MIN_BROADBAND_RATE_HZ:
        assert f"`{layout}`" == row[3]
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
