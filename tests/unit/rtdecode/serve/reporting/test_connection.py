"""The report at connect has all that one may want to check."""

from __future__ import annotations

import socket
from dataclasses import replace

from decoding import artifact_of

from rtdecode.artifact import Feature, Output
from rtdecode.ingest.signals.features import unknown_kinds
from rtdecode.ingest.signals.layouts import Layout, StreamDescription
from rtdecode.serve.reporting.connection import labels_line, model_line, stream_report

MODEL = artifact_of(
    "wiener",
    n_channels=96,
    outputs=(Output("x", "mm", 0.0, 1.0, "position"), Output("grip", "", 0.0, 1.0, "other")),
    run={},
)


def test_events() -> None:
    stream = StreamDescription(
        "M1", "Spikes", 3, 0.0, "int32", source_id="rig-a", hostname="lab", n_channels=96
    )
    report = "\n".join([*stream_report(stream, Layout.EVENTS, 0.0123), model_line(MODEL)])
    for part in ("M1", "layout events", "96 channels", "irregular rate", "+12.300 ms", "rig-a on lab"):
        assert part in report
    read = stream_report(stream, Layout.EVENTS, 0.0, "events (channel=1,unit=0,seq=-)")[0]
    assert "layout events (channel=1,unit=0,seq=-), 96 channels" in read
    for part in (MODEL.model_id, "wiener", "20 ms bins", "x (mm), grip"):
        assert part in report


def test_counts_of_a_source_with_a_short_description() -> None:
    counts = StreamDescription("M1", "", 96, 50.0, "int16", hostname="lab")
    assert "96 channels, 50 Hz" in stream_report(counts, Layout.COUNTS, 0.0)[0]
    bare = StreamDescription("M1", "", 1, 0.0, "int32", hostname="lab")
    line = stream_report(bare, Layout.CHANNEL, 0.0)[0]
    assert "number of channels not stated" in line
    assert "source unnamed" in line


def test_a_clock_of_its_own_on_this_machine_is_implausible() -> None:
    stream = StreamDescription("M1", "Spikes", 3, 0.0, "int32", hostname=socket.gethostname())
    assert "+12.300 ms off, although" in "\n".join(stream_report(stream, Layout.EVENTS, 0.0123))
    for plausible, offset_s in ((stream, 0.0001), (replace(stream, hostname="lab"), 7000.0)):
        assert "although" not in "\n".join(stream_report(plausible, Layout.EVENTS, offset_s))


def test_features_are_named_and_other_units_are_said() -> None:
    features = tuple(Feature(name, "power", "uV", 0.0, 1.0) for name in "ab")
    model = replace(MODEL, n_channels=0, channel_mask=(), features=features)
    columns = [feature.column for feature in features]
    stream = StreamDescription("P", "Features", 3, 50.0, "float32", hostname="lab", labels=("x", "b", "a"))
    (attached,) = stream_report(stream, Layout.FEATURES, 0.0, "features (2 power: a, b)", columns)
    assert "layout features (2 power: a, b), 3 columns, 50 Hz" in attached
    assert "wiener, 2 features, 20 ms bins" in model_line(model)
    said = stream_report(replace(stream, units=("", "uV", "V")), Layout.FEATURES, 0.0, "", columns)[1]
    assert said.startswith("1 of 2 features of P come in other units than the model's, a among them")
    said = stream_report(replace(stream, kinds=("sbp", "", "sbp")), Layout.FEATURES, 0.0, "", columns)[1]
    assert said == (
        "the kind of column a of P is 'sbp', which is unknown: taken as power. "
        "Fix: describe it as one of power, rate, count, other"
    )
    (said,) = unknown_kinds(replace(stream, kinds=("", "sbp", "Sbp")), columns)
    assert "and so is that of 1 more: taken as power" in said
    assert unknown_kinds(replace(stream, kinds=("sbp", "", " Power")), columns) == []


def test_other_labels_than_those_of_the_model_are_said() -> None:
    stream = StreamDescription("M1", "", 3, 50.0, "int16", hostname="lab", labels=("e1", "e2", "e3"))
    assert labels_line(stream, Layout.COUNTS, ("e1", "e2", "e3")) == []
    assert labels_line(stream, Layout.COUNTS, ()) == []
    (line,) = labels_line(stream, Layout.COUNTS, ("e1", "e3", "e2"))
    assert line == (
        "2 of 3 channels of M1 have other labels than those of the model, channel 1 'e2' and 'e3': send them "
        "in the order of the model"
    )
    (line,) = labels_line(stream, Layout.RASTER, ("a", "b", "c"))
    assert line.endswith("channel 0 'e1' and 'a': is it the same array?")
    # Columns of events are no channels.
    events = replace(stream, rate_hz=0.0, labels=("channel", "unit", "seq"))
    assert labels_line(events, Layout.EVENTS, ("e1", "e2", "e3")) == []
    assert labels_line(replace(stream, labels=("e1", "e1", "e2")), Layout.COUNTS, ("a", "b", "c")) == []
