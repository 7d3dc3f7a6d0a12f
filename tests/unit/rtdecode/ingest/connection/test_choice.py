"""Choice among several streams of one name."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pylsl
import pytest
from announced import announced

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.connection.choice import (
    NeedsOption,
    ambiguous,
    are_one_source,
    behavior_stream,
    candidates,
    marker_stream,
    spike_stream,
    unusable,
)
from rtdecode.ingest.connection.streams import describe
from rtdecode.ingest.signals.layouts import Layout

spikes = partial(spike_stream, override=None)

POSITION = announced("tracker", unique="2", columns=2, rate=100.0, of="MoCap", dtype=pylsl.cf_float32)

POSITION = announced("tracker", unique="2", columns=2, rate=100.0, of="MoCap", dtype=pylsl.cf_float32)


def test_a_single_stream_is_chosen() -> None:
    only = announced()
    ((info, stream, layout, _),) = candidates([only], spikes)
    assert (info, stream.source_id, layout) == (only, "rig-a", Layout.EVENTS)


def test_two_outlets_of_one_source_are_told_from_two_sources() -> None:
    dead, alive = announced(made_at=5.0, unique="old"), announced(made_at=9.0, unique="new")
    found = candidates([alive, dead], spikes)
    assert [each.info for each in found] == [dead, alive]
    assert are_one_source(found)
    assert "2 outlets with one source_id send" in str(ambiguous(found, "--source-id"))
    assert not are_one_source(candidates([dead, announced("rig-b")], spikes))
    # Without an id each is a source of its own.
    assert not are_one_source(candidates([announced(""), announced("", unique="2")], spikes))


def test_two_sources_are_listed() -> None:
    found = candidates([announced("rig-a", unique="1"), announced("rig-b", unique="2")], spikes)
    text = str(ambiguous(found, "--source-id"))
    assert "2 sources" in text
    assert "rig-a on lab (events), rig-b on lab (events)" in text
    assert "--source-id" in text


@pytest.mark.parametrize(
    "other",
    [
        POSITION,
        announced("amp", unique="2", columns=96, rate=30_000.0),
        announced("notes", unique="2", columns=1, of="Markers", dtype=pylsl.cf_string),
        announced("task", unique="2", columns=1, of="Markers"),
    ],
)
def test_spikes_are_told_from_another_stream_of_their_name(other: Any) -> None:
    here = announced()
    assert [each.info for each in candidates([other, here], spikes)] == [here]


def test_counts_are_told_from_a_position_of_their_name() -> None:
    counts = announced("bins", columns=96, rate=50.0, of="Binned")
    assert [each.layout for each in candidates([POSITION, counts], spikes)] == [Layout.COUNTS]


@pytest.mark.parametrize("of", ["Spikes", "SpikeEvents"])
def test_a_position_is_told_from_spikes_of_its_name(of: str) -> None:
    assert [each.info for each in candidates([announced(of=of), POSITION], behavior_stream)] == [POSITION]


def test_a_stream_that_is_no_spikes_or_no_numbers_is_refused() -> None:
    assert candidates([], spikes) == []
    with pytest.raises(RtdecodeError, match="no spike layout"):
        candidates([announced("amp", columns=96, rate=2000.0, dtype=pylsl.cf_float32)], spikes)
    with pytest.raises(RtdecodeError, match="string, not numbers"):
        candidates([announced(columns=1, of="Markers", dtype=pylsl.cf_string)], behavior_stream)
    with pytest.raises(RtdecodeError, match="its samples are spikes"):
        candidates([announced()], behavior_stream)


def test_markers_are_texts_or_integers_and_no_spikes() -> None:
    text = announced(columns=1, of="Markers", dtype=pylsl.cf_string)
    code = announced(columns=1, of="Markers", dtype=pylsl.cf_int32)
    assert [each.info for each in candidates([code, text, POSITION], marker_stream)] == [code, text]
    with pytest.raises(RtdecodeError, match="one text or integer"):
        candidates([POSITION], marker_stream)
    with pytest.raises(RtdecodeError, match="are spikes"):
        candidates([announced(columns=1, of="Spikes")], marker_stream)


def test_all_that_was_found_is_listed_with_why_it_is_not_taken() -> None:
    amplifier = announced("amp", columns=96, rate=2000.0, of="EEG", unique="3", dtype=pylsl.cf_float32)
    with pytest.raises(RtdecodeError) as one:
        candidates([amplifier], spikes)
    assert "stream M1 (type EEG, 96 x float32, 2000 Hz), source amp on lab: no spike layout" in str(one.value)
    with pytest.raises(RtdecodeError) as both:
        candidates([amplifier, announced("notes", columns=1, of="Markers", dtype=pylsl.cf_string)], spikes)
    codes = announced("task", columns=1, of="Markers")
    with pytest.raises(RtdecodeError, match=r"source task on lab: its samples are markers, not spikes"):
        candidates([amplifier, codes], spikes)
    for part in (
        "none of the 2 streams of that name",
        "source amp on lab",
        "1 x string",
        "source notes on lab",
    ):
        assert part in str(both.value)


def test_an_outlet_is_asked_for_labels_only_where_they_matter() -> None:
    asked = []

    def full(info: Any) -> Any:
        asked.append(info)
        labels = ("channel", "unit") if info.source_id() == "floats" else ("x", "y")
        return replace(describe(info), labels=labels)

    floats = announced("floats", columns=2, of="", dtype=pylsl.cf_float32)
    eyes = announced("eyes", columns=2, of="Gaze", dtype=pylsl.cf_float32)
    assert [each.layout for each in candidates([announced(), POSITION], spikes, full)] == [Layout.EVENTS]
    assert asked == []
    assert [each.info for each in candidates([floats, eyes], spikes, full)] == [floats]
    assert asked == [floats, eyes]


def test_only_what_another_option_cures_ends_a_wait() -> None:
    stream = describe(announced())
    option, other = NeedsOption("needs --channels", where="M1"), RtdecodeError("has 17 channels", where="M1")
    assert isinstance(unusable([(stream, option)]), NeedsOption)
    for refused in ([(stream, other)], [(stream, option), (stream, other)]):
        assert not isinstance(unusable(refused), NeedsOption)


def test_two_outlets_that_only_their_uid_tells_apart_are_listed_by_it() -> None:
    found = candidates([announced(unique="1"), announced(unique="2")], spikes)
    assert "rig-a on lab, outlet 1 (events), rig-a on lab, outlet 2 (events)" in str(
        ambiguous(found, "--source-id")
    )
