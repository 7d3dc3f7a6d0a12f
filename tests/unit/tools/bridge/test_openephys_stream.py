"""Messages of the ZMQ Interface plugin: every spike once, every loss counted, whatever comes in between."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtdecode.tools.bridge.items import Block, Item, Restart, Spike, Tally, Tick
from rtdecode.tools.bridge.openephys.messages import GarbledError, read_message
from rtdecode.tools.bridge.openephys.stream import Electrodes, OpenEphysStream

BLOCK = 100


def spike(number: int, sample: int, electrode: str = "Electrode 3", unit: int = 0) -> list[bytes]:
    inside = {"stream": "A", "source_node": 1, "electrode": electrode, "sample_num": sample}
    inside |= {"num_channels": 1, "num_samples": 40, "sorted_id": unit, "threshold": [-50.0]}
    header = {"message_num": number, "type": "spike", "spike": inside, "timestamp": 1}
    return [b"EVENT\0", json.dumps(header, indent=1).encode(), bytes(160)]


def data(number: int, sample: int, channel: int, value: float = 0.0, **changed: Any) -> list[bytes]:
    content = {"stream": "A", "channel_num": channel, "num_samples": BLOCK, "sample_num": sample}
    content |= {"sample_rate": 30000.0, **changed}
    header = {"message_num": number, "type": "data", "content": content, "data_size": 4 * BLOCK}
    return [b"DATA\0", json.dumps(header).encode(), np.full(BLOCK, value, "<f4").tobytes()]


def ttl(number: int, sample: int) -> list[bytes]:
    content = {"stream": "A", "source_node": 1, "type": 3, "sample_num": sample}
    header = {"message_num": number, "type": "event", "content": content, "data_size": 10}
    return [b"EVENT\0", json.dumps(header).encode(), bytes(10)]


@pytest.fixture
def tally() -> Tally:
    return Tally()


def stream_of(tally: Tally, n_channels: int = 96, *, wants_blocks: bool = False) -> OpenEphysStream:
    return OpenEphysStream(Electrodes(n_channels), tally, wants_blocks=wants_blocks)


def fed(stream: OpenEphysStream, messages: list[list[bytes]]) -> list[Item]:
    return [item for message in messages for item in stream.feed(message)]


def test_a_spike_is_read(tally: Tally) -> None:
    (item,) = stream_of(tally).feed(spike(1, 12345, "Stereotrode 17", 3))
    assert item == Spike(12345, 16, 3)


def test_lost_messages_are_lost_spikes_where_there_is_nothing_else(tally: Tally) -> None:
    stream = stream_of(tally)
    numbers = [1, 2, 5, 6, 7, 11, 12]
    items = fed(stream, [spike(n, 100 * n, unit=n) for n in numbers])
    assert [item.unit for item in items if isinstance(item, Spike)] == numbers
    assert tally.lost_spikes == 5
    assert not tally.garbled


def test_events_are_passed_over(tally: Tally) -> None:
    items = fed(stream_of(tally), [spike(1, 100), ttl(2, 120), spike(3, 150)])
    assert items == [Spike(100, 2, 0), Spike(150, 2, 0)]
    assert tally.lost_spikes == 0


def test_a_wrong_number_is_no_loss(tally: Tally) -> None:
    items = fed(stream_of(tally), [spike(n, 100 * n, unit=n) for n in (1, 2, 93, 4, 5, 1, 7, 8)])
    assert [item.unit for item in items if isinstance(item, Spike)] == [1, 2, 93, 4, 5, 1, 7, 8]
    assert tally.lost_spikes == 0
    assert tally.garbled == {"message number is impossible": 2}


def test_a_new_start_is_seen_and_what_was_missed_of_it_counted(tally: Tally) -> None:
    messages = [spike(n, 1000 + n, unit=n) for n in range(50, 60)] + [spike(n, n, unit=n) for n in (4, 5)]
    items = fed(stream_of(tally), messages)
    assert items[10:] == [Restart(), Spike(4, 2, 4), Spike(5, 2, 5)]
    assert tally.lost_spikes == 3


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([b"EVENT\0"], "frames are missing"),
        ([b"EVENT\0", b"{", b""], "header cannot be read"),
        ([b"EVENT\0", b'{"message_num": 3, "type": "spike"}', b""], "spike cannot be read"),
        ([b"EVENT\0", b'{"message_num": -3, "type": "event"}', b""], "message number is impossible"),
        (spike(1, -1), "spike cannot be read"),
        (spike(1, 2**60), "spike cannot be read"),
        (data(1, 0, 0)[:2], "data are of another length"),
        (data(1, 0, 0, num_samples=99), "data are of another length"),
        (data(1, 0, -1), "data cannot be read"),
    ],
)
def test_what_cannot_be_read_says_why(frames: list[bytes], reason: str) -> None:
    with pytest.raises(GarbledError, match=reason):
        read_message(frames)


def test_an_electrode_named_unlike_the_others_is_no_channel(tally: Tally) -> None:
    names = ["Electrode 1", "Electrode 2", "Tetrode 1", "Electrode 97", "Electrode", "Electrode 2"]
    items = fed(stream_of(tally), [spike(n + 1, n, name) for n, name in enumerate(names)])
    assert [item.channel for item in items if isinstance(item, Spike)] == [0, 1, 1]
    assert tally.garbled == {
        "electrode is named unlike most": 1,
        "electrode is not among the channels": 2,
    }
    assert tally.lost_spikes == 3


def test_electrodes_may_be_named_in_order() -> None:
    electrodes = Electrodes(3, ("left", "right", "7"))
    assert [electrodes.channel_of(name) for name in ("7", "left", "right")] == [2, 0, 1]
    with pytest.raises(GarbledError, match="not among"):
        electrodes.channel_of("middle")


@pytest.mark.parametrize("wants_blocks", [True, False])
def test_blocks_have_all_channels_in_order(tally: Tally, wants_blocks: bool) -> None:
    channels, messages = (2, 5, 7), []
    for block in range(6):
        for channel in channels:
            messages.append(data(len(messages) + 1, BLOCK * block, channel, 10 * block + channel))
    stream = stream_of(tally, wants_blocks=wants_blocks)
    items = fed(stream, messages)
    assert stream.assembler.channels == channels
    assert stream.rate_hz == 30000.0
    blocks = [item for item in items if isinstance(item, Block)]
    assert {item.sample for item in items if isinstance(item, Tick)} <= {BLOCK * k - 1 for k in range(1, 7)}
    if wants_blocks:
        # Two blocks say what the channels are.
        assert [block.sample for block in blocks] == [BLOCK * k - 1 for k in range(3, 7)]
        assert (blocks[0].values == [[22, 25, 27]] * BLOCK).all()
    else:
        assert not blocks
    assert (tally.lost_spikes, tally.lost_samples, tally.garbled) == (0, 0, {})


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_losses_are_told_apart_where_data_and_spikes_are_mixed(drawn: st.DataObject) -> None:
    """Each block: its spikes, then a message a channel; any may be lost or garbled after the first blocks."""
    n_channels, n_blocks = drawn.draw(st.integers(1, 4)), 12
    rng = np.random.default_rng(drawn.draw(st.integers(0, 10_000)))
    share = drawn.draw(st.sampled_from([0.0, 0.05, 0.2]))
    tally, number, unit = Tally(), 0, 0
    stream, items = stream_of(tally, wants_blocks=True), []
    sent, lost = [], 0
    for block in range(n_blocks):
        first = BLOCK * block
        burst = [("spike", 0)] * int(rng.integers(4)) + [("data", channel) for channel in range(n_channels)]
        for kind, channel in burst:
            number += 1
            # The first blocks say what the channels are; the last settle what is missing before them.
            safe = block < 4 or block >= n_blocks - 2
            fate = 1.0 if safe else rng.random()
            message = spike(number, first, unit=unit) if kind == "spike" else data(number, first, channel)
            if kind == "spike":
                unit += 1
                sent += [unit - 1] if fate >= share else []
                lost += fate < share
            if fate >= share:
                items += stream.feed(message)
            elif fate < share / 2:
                items += stream.feed([message[0], message[1][: len(message[1]) // 2], message[2]])
    assert [item.unit for item in items if isinstance(item, Spike)] == sent
    assert tally.lost_spikes == lost
    whole = [item for item in items if isinstance(item, Block)]
    assert (n_blocks - 2 - len(whole)) * BLOCK == tally.lost_samples


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=4), st.integers(0, 40))
def test_nothing_that_arrives_is_an_error_or_a_spike(frames: list[bytes], cut: int) -> None:
    tally = Tally()
    stream = stream_of(tally)
    assert stream.feed(frames) == []
    damaged = spike(1, 12345)
    damaged[1] = damaged[1][:cut] + frames[0] if frames else damaged[1][:cut]
    assert stream.feed(damaged) == []
    assert sum(tally.garbled.values()) == 2
