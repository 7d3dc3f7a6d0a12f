"""Choice among several streams of one name."""

from __future__ import annotations

from dataclasses import dataclass

import pylsl
import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.layouts import Layout
from rtdecode.ingest.streams import choose_spike_stream


class Nothing:
    """An XML description without content; unit tests do not use liblsl itself."""

    def child(self, name: str) -> Nothing:
        return self

    def child_value(self, name: str) -> str:
        return ""

    def empty(self) -> bool:
        return True


@dataclass
class Announced:
    """The methods of pylsl.StreamInfo that are used."""

    source: str = "rig-a"
    made_at: float = 1.0
    unique: str = "uid"
    kind: str = "Spikes"
    columns: int = 3
    rate: float = 0.0

    def name(self) -> str:
        return "M1"

    def type(self) -> str:
        return self.kind

    def channel_count(self) -> int:
        return self.columns

    def nominal_srate(self) -> float:
        return self.rate

    def channel_format(self) -> int:
        return int(pylsl.cf_int32)

    def source_id(self) -> str:
        return self.source

    def hostname(self) -> str:
        return "lab"

    def uid(self) -> str:
        return self.unique

    def created_at(self) -> float:
        return self.made_at

    def desc(self) -> Nothing:
        return Nothing()


def test_a_single_stream_is_chosen() -> None:
    only = Announced()
    assert choose_spike_stream([only], None) == (only, Layout.EVENTS)


def test_of_a_restarted_source_the_newer_outlet_is_chosen() -> None:
    dead, alive = Announced(made_at=5.0, unique="old"), Announced(made_at=9.0, unique="new")
    assert choose_spike_stream([alive, dead], None)[0] is alive
    assert choose_spike_stream([dead, alive], None)[0] is alive


def test_two_sources_are_refused_with_a_list() -> None:
    first, second = Announced("rig-a", unique="1"), Announced("rig-b", unique="2", columns=96, rate=50.0)
    with pytest.raises(RtdecodeError) as refusal:
        choose_spike_stream([first, second], None)
    text = str(refusal.value)
    assert "2 sources" in text
    assert "rig-a (events on lab), rig-b (counts on lab)" in text
    assert "--source-id" in text


def test_a_stream_without_a_source_id_is_a_source_of_its_own() -> None:
    with pytest.raises(RtdecodeError, match="2 sources"):
        choose_spike_stream([Announced("", unique="1"), Announced("", unique="2")], None)


def test_a_stream_of_that_name_without_spikes_is_skipped() -> None:
    spikes, voltage = Announced(), Announced("amp", unique="2", columns=96, rate=30_000.0)
    assert choose_spike_stream([spikes, voltage], None)[0] is spikes
    with pytest.raises(RtdecodeError, match="no spike layout"):
        choose_spike_stream([voltage], None)
