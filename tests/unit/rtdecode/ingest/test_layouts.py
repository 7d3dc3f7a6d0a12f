"""The layout of a stream follows from its type and shape, or from --layout if it fits the shape."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.layouts import (
    Layout,
    StreamDescription,
    array_channels,
    check_against_model,
    choose_layout,
    mismatch,
)

EVENTS = StreamDescription("M1", "Spikes", 3, 0.0, "int32", n_channels=96)
COUNTS = StreamDescription("M1", "SpikeCounts", 96, 50.0, "int16")


def test_the_two_reference_streams() -> None:
    assert choose_layout(EVENTS) is Layout.EVENTS
    assert choose_layout(COUNTS) is Layout.COUNTS
    assert (str(Layout.EVENTS), str(Layout.COUNTS)) == ("events", "counts")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"type": "SpikeCounts"}, Layout.COUNTS),
        ({"type": ""}, Layout.COUNTS),
        ({"type": "Spikes"}, Layout.COUNTS),
        ({"type": "Spikes", "n_columns": 3, "format": "int32"}, Layout.COUNTS),
        ({"rate_hz": 1000.0}, Layout.COUNTS),
        ({"rate_hz": 0.5}, Layout.COUNTS),
        ({"format": "float32"}, Layout.COUNTS),
        ({"format": "double64"}, Layout.COUNTS),
        ({"format": "int64"}, Layout.COUNTS),
        ({"n_columns": 1}, Layout.COUNTS),
        ({"rate_hz": 1000.5}, None),
        ({"rate_hz": 30_000.0}, None),
        ({"format": "string"}, None),
        ({"format": "undefined"}, None),
        ({"rate_hz": 0.0}, None),
        ({"rate_hz": 0.0, "type": "Spikes"}, None),
    ],
)
def test_variations_of_counts(changes: dict[str, object], expected: Layout | None) -> None:
    check_choice(replace(COUNTS, **changes), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"n_channels": None}, Layout.EVENTS),
        ({"type": "spikes"}, None),
        ({"type": "Markers"}, None),
        ({"type": ""}, None),
        ({"n_columns": 2}, None),
        ({"n_columns": 4}, None),
        ({"n_columns": 1}, Layout.CHANNEL),
        ({"format": "float32"}, None),
        ({"format": "double64"}, None),
        ({"format": "int64"}, None),
        ({"format": "string"}, None),
        ({"rate_hz": 100.0}, Layout.COUNTS),
    ],
)
def test_variations_of_events(changes: dict[str, object], expected: Layout | None) -> None:
    check_choice(replace(EVENTS, **changes), expected)  # type: ignore[arg-type]


def check_choice(stream: StreamDescription, expected: Layout | None) -> None:
    if expected is None:
        with pytest.raises(RtdecodeError, match=r"no spike layout has this type.*Fix: events are type"):
            choose_layout(stream)
    else:
        assert choose_layout(stream) is expected


def test_an_override_depends_on_the_shape_and_not_on_the_type() -> None:
    named = replace(EVENTS, type="Markers")
    assert choose_layout(named, Layout.EVENTS) is Layout.EVENTS
    assert choose_layout(EVENTS, Layout.EVENTS) is Layout.EVENTS
    assert choose_layout(COUNTS, Layout.COUNTS) is Layout.COUNTS
    assert choose_layout(replace(COUNTS, type="Spikes"), Layout.COUNTS) is Layout.COUNTS


@pytest.mark.parametrize(
    ("stream", "override", "complaint"),
    [
        (COUNTS, Layout.EVENTS, "irregular rate, this stream at 50 Hz"),
        (replace(COUNTS, rate_hz=0.0), Layout.EVENTS, "this stream has 96 int16"),
        (replace(EVENTS, n_columns=2), Layout.EVENTS, "this stream has 2 int32"),
        (replace(EVENTS, format="float32"), Layout.EVENTS, "this stream has 3 float32"),
        (EVENTS, Layout.COUNTS, "this stream is irregular"),
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


def test_a_description_as_text() -> None:
    assert str(EVENTS) == "M1 (type Spikes, 3 x int32, irregular)"
    assert str(replace(COUNTS, type="")) == "M1 (type none, 96 x int16, 50 Hz)"
