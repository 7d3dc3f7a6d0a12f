"""RHX's byte streams: the same spikes and blocks however they are cut, and through what is none."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtdecode.tools.bridge.intan.commands import MOST_BYTES, channel_names, setup, value_of
from rtdecode.tools.bridge.intan.counter import Counter32
from rtdecode.tools.bridge.intan.records import SpikeRecords
from rtdecode.tools.bridge.intan.waveforms import WaveformBlocks
from rtdecode.tools.bridge.items import Block, Spike, Tally, Tick

NAMES = channel_names([("A", 4), ("B", 2)])
CHANNELS = {name.encode(): i for i, name in enumerate(NAMES)}


def record(name: str, sample: int, bits: int = 0x40) -> bytes:
    return struct.pack("<I5sIB", 0x3AE2710F, name.encode(), sample % 2**32, bits)


def block(first: int, n_channels: int, magic: int = 0x2EF07A08) -> bytes:
    rows = np.zeros(128, [("sample", "<u4"), ("values", "<u2", (n_channels,))])
    rows["sample"] = (first + np.arange(128)) % 2**32
    rows["values"] = 32768 - 5 + 10 * np.arange(n_channels)
    return struct.pack("<I", magic) + rows.tobytes()


def reader(tally: Tally) -> SpikeRecords:
    return SpikeRecords(CHANNELS, Counter32(), tally)


def cut(data: bytes, at: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(each % (len(data) + 1) for each in at), len(data)]
    return [data[first:last] for first, last in itertools.pairwise(edges)]


def test_records_are_read() -> None:
    tally = Tally()
    bits = {0x40: 0, 1: 1, 2: 2, 4: 3, 8: 4, 0x80: 255}
    data = b"".join(record("B-001", 100 + i, bit) for i, bit in enumerate(bits))
    assert reader(tally).feed(data) == [Spike(100 + i, 5, unit) for i, unit in enumerate(bits.values())]
    assert tally == Tally()


@settings(max_examples=100, deadline=None)
@given(
    samples=st.lists(st.integers(0, 60_000), min_size=1, max_size=30),
    at=st.lists(st.integers(0, 500), max_size=40),
    origin=st.sampled_from([0, 2**32 - 30_000]),
)
def test_any_cut_gives_the_same_spikes_through_a_wrap(samples: list[int], at: list[int], origin: int) -> None:
    samples = [0, *sorted(samples)]
    data = b"".join(record(NAMES[sample % 6], origin + sample) for sample in samples)
    tally = Tally()
    records = reader(tally)
    found = [spike for piece in cut(data, at) for spike in records.feed(piece)]
    assert found == [Spike(origin + sample, sample % 6, 0) for sample in samples]
    assert tally == Tally()


@settings(max_examples=100, deadline=None)
@given(
    fates=st.lists(st.sampled_from(["whole", "magic", "name", "unit", "junk", "short"]), max_size=25),
    at=st.lists(st.integers(0, 500), max_size=30),
    # Not what a record that lacks its end lacks.
    junk=st.lists(st.integers(0xA1, 0xEF), min_size=1, max_size=6).map(bytes),
)
def test_what_is_no_record_costs_itself_alone(fates: list[str], at: list[int], junk: bytes) -> None:
    """Garbled records, junk between records, and a record that lacks its end."""
    data, whole, lost = b"", [], 0
    for i, fate in enumerate([*fates, "whole"]):
        good = record("A-001", 1000 + i)
        lost += fate not in ("whole", "junk")
        if fate in ("whole", "junk"):
            whole.append(1000 + i)
        data += {
            "whole": good,
            "magic": b"\xee" + good[1:],
            "name": good[:4] + b"Q" + good[5:],
            "unit": good[:13] + b"\x21",
            "junk": junk + good,
            "short": good[:11],
        }[fate]
    tally = Tally()
    records = reader(tally)
    found = [spike.sample for piece in cut(data, at) for spike in records.feed(piece)]
    assert found == whole
    # Junk beside garbled records may have had room for one more, or a shorter one for one less.
    slack = fates.count("junk") + fates.count("short")
    assert abs(tally.lost_spikes - lost) <= slack
    assert (sum(tally.garbled.values()) > 0) == (
        whole != [1000 + i for i in range(len(fates) + 1)] or "junk" in fates
    )


def test_a_record_cut_off_by_the_end_is_lost() -> None:
    tally = Tally()
    records = reader(tally)
    assert len(records.feed(record("A-000", 1) + record("A-000", 2)[:9])) == 1
    records.end()
    assert (tally.lost_spikes, tally.garbled) == (1, {"connection ended within a record": 1})
    assert records.feed(record("A-003", 3)) == [Spike(3, 3, 0)]


@pytest.mark.parametrize("n_channels", [0, 3])
@settings(max_examples=40, deadline=None)
@given(at=st.lists(st.integers(0, 20_000), max_size=30), junk=st.binary(max_size=9), lost=st.integers(0, 3))
def test_blocks_are_the_same_in_any_cut(n_channels: int, at: list[int], junk: bytes, lost: int) -> None:
    origin = 2**32 - 256
    firsts = [origin + 128 * k for k in (0, 1, 2 + lost, 3 + lost)]
    data = block(firsts[0], n_channels) + block(firsts[1], n_channels) + junk
    data += block(firsts[2], n_channels) + block(firsts[3], n_channels)
    tally = Tally()
    blocks = WaveformBlocks(n_channels, Counter32(), tally)
    found = [each for piece in cut(data, at) for each in blocks.feed(piece)]
    assert [each.sample for each in found] == [first + 127 for first in firsts]
    assert all(isinstance(each, Block if n_channels else Tick) for each in found)
    for each in found:
        if isinstance(each, Block):
            assert each.values.dtype == np.int16
            assert (each.values == [-5, 5, 15]).all()
    assert tally.lost_samples == 128 * lost
    assert tally.garbled == ({"no waveform block": 1} if junk else {})


def test_a_damaged_block_is_counted_and_the_next_one_read() -> None:
    tally = Tally()
    blocks = WaveformBlocks(1, Counter32(), tally)
    damaged = bytearray(block(128, 1))
    damaged[304] ^= 0xFF
    found = blocks.feed(block(0, 1) + bytes(damaged) + block(256, 1) + block(384, 1)[:77])
    assert [each.sample for each in found] == [127, 383]
    blocks.end()
    assert tally.lost_samples == 128
    assert tally.garbled == {"no waveform block": 1, "connection ended within a block": 1}


def test_numbers_continue_through_wraps_in_both_directions() -> None:
    counter = Counter32()
    numbers = [2**32 - 10, 5, 2**32 - 3, 20, 2**31, 2**32 - 1, 7]
    assert [counter.extend(number) for number in numbers] == [
        2**32 - 10, 2**32 + 5, 2**32 - 3, 2**32 + 20, 2**32 + 2**31, 2**33 - 1, 2**33 + 7,
    ]  # fmt: skip


@pytest.mark.parametrize("running", [False, True])
def test_the_setup_turns_on_what_is_wanted_in_short_texts(running: bool) -> None:
    names = channel_names([("A", 128), ("C", 16)])
    texts = list(setup(names, continuous=True, running=running))
    assert all(len(text) <= MOST_BYTES for text in texts)
    commands = "".join(texts).rstrip(";").split(";")
    assert commands[0] == "execute clearalldataoutputs"
    assert ("set tcpnumberdatablocksperwrite 1" in commands) is not running
    assert "set C-015.tcpdataoutputenabledspike true" in commands
    assert sum(command.endswith(".tcpdataoutputenabled true") for command in commands) == 144
    assert commands[-1] == "execute connecttcpspikedataoutput"


def test_replies_are_read() -> None:
    assert value_of("Return: SampleRateHertz 30000", "SampleRateHertz") == "30000"
    assert value_of("Return: a.numberamplifierchannels 64", "A.NumberAmplifierChannels") == "64"
    assert value_of("Return: NumberAmplifierChannels 64", "A.NumberAmplifierChannels") == "64"
    assert value_of("Error: Unrecognized parameter", "RunMode") is None
