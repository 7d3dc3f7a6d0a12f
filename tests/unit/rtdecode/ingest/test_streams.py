"""Choice among several streams of one name."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

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


def announced(
    source: str = "rig-a", *, unique: str = "uid", made_at: float = 1.0, columns: int = 3, rate: float = 0.0
) -> Any:
    """The methods of pylsl.StreamInfo that are used."""
    returned = {"name": "M1", "type": "Spikes", "channel_format": int(pylsl.cf_int32), "hostname": "lab"}
    returned |= {"source_id": source, "uid": unique, "created_at": made_at, "desc": Nothing()}
    returned |= {"channel_count": columns, "nominal_srate": rate}
    return SimpleNamespace(**{name: partial(lambda value: value, value) for name, value in returned.items()})


def test_a_single_stream_is_chosen() -> None:
    only = announced()
    assert choose_spike_stream([only], None) == (only, Layout.EVENTS)


def test_of_a_restarted_source_the_newer_outlet_is_chosen() -> None:
    dead, alive = announced(made_at=5.0, unique="old"), announced(made_at=9.0, unique="new")
    assert choose_spike_stream([alive, dead], None)[0] is alive
    assert choose_spike_stream([dead, alive], None)[0] is alive


def test_two_sources_are_refused_with_a_list() -> None:
    first, second = announced("rig-a", unique="1"), announced("rig-b", unique="2", columns=96, rate=50.0)
    with pytest.raises(RtdecodeError) as refusal:
        choose_spike_stream([first, second], None)
    text = str(refusal.value)
    assert "2 sources" in text
    assert "rig-a (events on lab), rig-b (counts on lab)" in text
    assert "--source-id" in text


def test_a_stream_without_a_source_id_is_a_source_of_its_own() -> None:
    with pytest.raises(RtdecodeError, match="2 sources"):
        choose_spike_stream([announced("", unique="1"), announced("", unique="2")], None)


def test_a_stream_of_that_name_without_spikes_is_skipped() -> None:
    spikes, voltage = announced(), announced("amp", unique="2", columns=96, rate=30_000.0)
    assert choose_spike_stream([spikes, voltage], None)[0] is spikes
    with pytest.raises(RtdecodeError, match="no spike layout"):
        choose_spike_stream([voltage], None)
