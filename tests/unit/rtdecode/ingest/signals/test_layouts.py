"""The layout of a stream follows from its type and shape, or from --layout if it fits the shape."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.signals.event_columns import RowColumns
from rtdecode.ingest.signals.layouts import (
    Layout,
    StreamDescription,
    array_channels,
    check_against_model,
    check_units,
    choose_layout,
    is_features,
    is_markers,
    mismatch,
    needs_labels,
)

EVENTS = StreamDescription("M1", "Spikes", 3, 0.0, "int32", n_channels=96)
COUNTS = StreamDescription("M1", "SpikeCounts", 96, 50.0, "int16")


@pytest.mark.parametrize(
    ("stream", "changes", "expected"),
    [
        *[(COUNTS, {"type": name}, Layout.COUNTS) for name in ("SpikeCounts", "", "Spikes", "SpikeEvents")],
        *[(COUNTS, {"rate_hz": rate}, Layout.COUNTS) for rate in (0.5, 1000.0)],
        *[(COUNTS, {"format": name}, Layout.COUNTS) for name in ("float32", "double64", "int64")],
        (COUNTS, {"type": "Spikes", "n_columns": 3, "format": "int32"}, Layout.COUNTS),
        (COUNTS, {"n_columns": 1}, Layout.COUNTS),
        (COUNTS, {"rate_hz": 0.0}, None),
        *[(COUNTS, {"rate_hz": rate}, Layout.RASTER) for rate in (1000.5, 9999.0)],
        *[(COUNTS, {"rate_hz": rate}, Layout.BROADBAND) for rate in (10_000.0, 30_000.0)],
        (COUNTS, {"rate_hz": 30_000.0, "format": "int8"}, Layout.RASTER),
        *[
            (COUNTS, {"rate_hz": 30_000.0, "format": name}, Layout.BROADBAND)
            for name in ("int32", "float32", "double64")
        ],
        *[(COUNTS, {"rate_hz": 2000.0, "format": name}, None) for name in ("float32", "string")],
        *[(COUNTS, {"format": name}, None) for name in ("string", "undefined")],
        (COUNTS, {"rate_hz": 0.0, "type": "Spikes"}, None),
        (COUNTS, {"rate_hz": 0.0, "type": "SpikeEvents"}, Layout.SNIPPETS),
        (COUNTS, {"rate_hz": 0.0, "type": "SpikeEvents", "n_columns": 2}, Layout.SNIPPETS),
        (COUNTS, {"rate_hz": 0.0, "type": "", "n_columns": 1}, Layout.CHANNEL),
        (EVENTS, {}, Layout.EVENTS),
        (EVENTS, {"n_channels": None}, Layout.EVENTS),
        *[(EVENTS, {"type": name}, None) for name in ("spikes", "Markers", "")],
        *[(EVENTS, {"n_columns": n}, None) for n in (2, 4)],
        *[(EVENTS, {"format": name}, None) for name in ("float32", "double64", "int64", "string")],
        (EVENTS, {"n_columns": 1}, Layout.CHANNEL),
        (EVENTS, {"n_columns": 1, "type": "Triggers"}, Layout.CHANNEL),
        (EVENTS, {"rate_hz": 100.0}, Layout.COUNTS),
    ],
)
def test_the_layout_follows_from_type_and_shape(
    stream: StreamDescription, changes: dict[str, Any], expected: Layout | None
) -> None:
    stream = replace(stream, **changes)
    if expected is None:
        with pytest.raises(
            RtdecodeError, match=r"no spike layout has this type.*Fix: (events are|send voltage)"
        ):
            choose_layout(stream)
    else:
        assert choose_layout(stream) is expected


def test_an_override_depends_on_the_shape_and_not_on_the_type() -> None:
    named = replace(EVENTS, type="Markers")
    assert choose_layout(named, Layout.EVENTS) is Layout.EVENTS
    assert choose_layout(EVENTS, Layout.EVENTS) is Layout.EVENTS
    assert choose_layout(COUNTS, Layout.COUNTS) is Layout.COUNTS
    assert choose_layout(replace(COUNTS, type="Spikes"), Layout.COUNTS) is Layout.COUNTS
    assert choose_layout(replace(COUNTS, rate_hz=0.0), Layout.SNIPPETS) is Layout.SNIPPETS


@pytest.mark.parametrize("type_", ["Markers", "markers", "Marker"])
@pytest.mark.parametrize("format_", ["int8", "int32", "int64"])
def test_integer_markers_are_no_spikes_unless_that_is_said(type_: str, format_: str) -> None:
    markers = replace(EVENTS, n_columns=1, type=type_, format=format_)
    with pytest.raises(RtdecodeError, match=r"M1 .*samples are markers, not spikes.*Fix: .*--layout channel"):
        choose_layout(markers)
    assert is_markers(markers)
    assert choose_layout(markers, Layout.CHANNEL) is Layout.CHANNEL
    assert is_markers(replace(markers, format="string", type=""))
    for other in ({"rate_hz": 50.0}, {"n_columns": 3}, {"type": "Spikes"}):
        assert not is_markers(replace(markers, **other))


@pytest.mark.parametrize(
    ("stream", "override", "complaint"),
    [
        (replace(EVENTS, n_columns=50), Layout.CHANNEL, "channel is one integer, this stream has 50 int32"),
        (COUNTS, Layout.EVENTS, "irregular rate, this stream at 50 Hz"),
        (replace(COUNTS, rate_hz=0.0), Layout.EVENTS, "this stream has 96 int16"),
        (replace(EVENTS, n_columns=1), Layout.EVENTS, "this stream has 1 int32"),
        (replace(EVENTS, format="string"), Layout.EVENTS, "this stream has 3 string"),
        (EVENTS, Layout.COUNTS, "this stream is irregular"),
        (EVENTS, Layout.RASTER, "more than 1000 Hz, this stream at no regular rate"),
        (COUNTS, Layout.BROADBAND, "at 10000 Hz or more, this stream at 50 Hz"),
        (EVENTS, Layout.BROADBAND, "at 10000 Hz or more, this stream at no regular rate"),
        (replace(COUNTS, rate_hz=3e4, format="int8"), Layout.BROADBAND, "this stream has 96 int8"),
        (COUNTS, Layout.RASTER, "more than 1000 Hz, this stream at 50 Hz, which are counts"),
        (replace(COUNTS, rate_hz=2e3, format="float32"), Layout.RASTER, "are integers, 0 and 1, this stream"),
        (replace(COUNTS, rate_hz=30_000.0), Layout.COUNTS, "up to 1000 Hz, this stream at 30000 Hz"),
        (replace(COUNTS, format="string"), Layout.COUNTS, "this stream has string"),
    ],
)
def test_an_override_that_does_not_fit_the_shape_is_refused(
    stream: StreamDescription, override: Layout, complaint: str
) -> None:
    with pytest.raises(RtdecodeError, match=f"stream M1.*--layout {override}.*{complaint}"):
        choose_layout(stream, override)
    assert complaint in str(mismatch(stream, override))


def test_the_number_of_channels_is_that_of_the_stream() -> None:
    assert array_channels(EVENTS, Layout.EVENTS) == 96
    assert array_channels(replace(EVENTS, n_channels=None), Layout.EVENTS) is None
    assert array_channels(COUNTS, Layout.COUNTS) == 96


@pytest.mark.parametrize(
    ("stream", "layout"),
    [
        (EVENTS, Layout.EVENTS),
        (replace(EVENTS, n_channels=None), Layout.EVENTS),
        (COUNTS, Layout.COUNTS),
        (replace(COUNTS, rate_hz=1000.0), Layout.COUNTS),
        # A rate that was rounded in a file is the same rate.
        (replace(COUNTS, rate_hz=49.99999), Layout.COUNTS),
    ],
)
def test_a_stream_that_fits_the_model_is_accepted(stream: StreamDescription, layout: Layout) -> None:
    check_against_model(stream, layout, n_channels=96, bin_width_s=0.02)


@pytest.mark.parametrize(
    ("stream", "layout", "complaint"),
    [
        (replace(EVENTS, n_channels=64), Layout.EVENTS, "the stream has 64 channels, the model 96"),
        (replace(COUNTS, n_columns=128), Layout.COUNTS, "the stream has 128 channels, the model 96"),
        (replace(COUNTS, rate_hz=49.9), Layout.COUNTS, "cover 20.0401 ms, the model's bins 20 ms"),
        (replace(COUNTS, rate_hz=15.625), Layout.COUNTS, "cover 64 ms, the model's bins 20 ms"),
    ],
)
def test_a_stream_that_does_not_fit_is_refused_with_both_numbers(
    stream: StreamDescription, layout: Layout, complaint: str
) -> None:
    with pytest.raises(RtdecodeError, match=f"stream M1 .*{complaint}.*Fix: "):
        check_against_model(stream, layout, n_channels=96, bin_width_s=0.02)


def test_units_cannot_be_left_out_of_a_layout_that_has_none() -> None:
    noise = frozenset({255})
    for layout in Layout:
        check_units(layout, None, "stream M1")
    for layout in (Layout.EVENTS, Layout.SNIPPETS):
        check_units(layout, noise, "stream M1")
    for layout in (Layout.CHANNEL, Layout.COUNTS, Layout.RASTER, Layout.FEATURES):
        with pytest.raises(
            RtdecodeError, match=f"stream M1: samples of layout {layout} have no .*Fix: .*--drop-units"
        ):
            check_units(layout, noise, "stream M1")


def test_a_description_as_text() -> None:
    assert str(EVENTS) == "M1 (type Spikes, 3 x int32, irregular)"
    assert str(replace(COUNTS, type="")) == "M1 (type none, 96 x int16, 50 Hz)"


def test_features_are_announced_by_type_or_kind_or_asked_for() -> None:
    floats = replace(COUNTS, format="float32")
    for announced_ in (replace(floats, type="Features"), replace(floats, kinds=("power",) * 96)):
        assert is_features(announced_)
        assert choose_layout(announced_) is Layout.FEATURES
        assert choose_layout(announced_, Layout.COUNTS) is Layout.COUNTS
    for other in (
        floats,
        replace(floats, kinds=("EEG",) * 96),
        replace(floats, type="Features", rate_hz=0.0),
    ):
        assert not is_features(other)
    assert choose_layout(floats) is Layout.COUNTS
    assert choose_layout(floats, features=True) is Layout.FEATURES
    assert choose_layout(EVENTS, features=True) is Layout.EVENTS
    assert array_channels(floats, Layout.FEATURES) == 0
    with pytest.raises(RtdecodeError, match="--layout features: features come at up to 1000 Hz"):
        choose_layout(replace(floats, rate_hz=2000.0), Layout.FEATURES)
    for layout, n_channels, complaint in (
        (Layout.FEATURES, 96, "read as features, but the model reads counts"),
        (Layout.COUNTS, 0, "read as counts, but the model reads features alone"),
    ):
        with pytest.raises(RtdecodeError, match=f"{complaint}. Fix: serve a model"):
            check_against_model(floats, layout, n_channels=n_channels, bin_width_s=0.02)
    with pytest.raises(RtdecodeError, match="its features cover 64 ms, the model's bins 20 ms"):
        check_against_model(replace(floats, rate_hz=15.625), Layout.FEATURES, n_channels=0, bin_width_s=0.02)


LABELLED = ("Channel", "unit", "amplitude")


@pytest.mark.parametrize("format_", ["int8", "int16", "int64", "float32", "double64"])
@pytest.mark.parametrize("n", [2, 3, 5])
def test_other_events_need_labels_or_an_option(format_: str, n: int) -> None:
    stream = replace(EVENTS, type="", format=format_, n_columns=n)
    assert needs_labels(stream)
    with pytest.raises(RtdecodeError, match=r"Fix: .*--columns"):
        choose_layout(stream)
    assert choose_layout(stream, None, RowColumns(1, 0)) is Layout.EVENTS
    labelled = replace(stream, labels=("seq", "channel", "x", "y", "z")[:n])
    assert choose_layout(labelled) is Layout.EVENTS
    assert not needs_labels(labelled)
    with pytest.raises(RtdecodeError, match=f"--columns .* names column 7 .*this stream has {n} {format_}"):
        choose_layout(stream, None, RowColumns(7))
    if n < 4:
        assert choose_layout(stream, Layout.EVENTS) is Layout.EVENTS
    else:
        with pytest.raises(RtdecodeError, match="of more than 3 columns"):
            choose_layout(stream, Layout.EVENTS)


@pytest.mark.parametrize(
    ("stream", "layout"),
    [
        (replace(EVENTS, labels=LABELLED, rate_hz=100.0), Layout.COUNTS),
        (replace(EVENTS, labels=LABELLED, type="SpikeEvents"), Layout.SNIPPETS),
        (replace(EVENTS, labels=("channel",), n_columns=1), Layout.CHANNEL),
        (replace(EVENTS, labels=("channel", "unit", "seq")), Layout.EVENTS),
    ],
)
def test_labels_do_not_change_what_type_and_shape_say(stream: StreamDescription, layout: Layout) -> None:
    assert choose_layout(stream) is layout


@pytest.mark.parametrize("labels", [("x", "y"), ("channel", "amplitude"), ("channel", "channel", "unit")])
def test_labels_that_are_not_clear_are_not_used(labels: tuple[str, ...]) -> None:
    with pytest.raises(RtdecodeError, match="no spike layout"):
        choose_layout(replace(EVENTS, type="", n_columns=len(labels), format="float32", labels=labels))
