"""Blackrock's datagrams: what can be believed is read, whatever is beside it; losses are what it counts."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtdecode.tools.bridge.blackrock.packets import HEADERS, Packet, read_packets, request_settings
from rtdecode.tools.bridge.blackrock.stream import BlackrockStream
from rtdecode.tools.bridge.items import Spike, Tally, Tick

ORIGIN, MS = 1_700_000_000 * 10**9, 10**6
SPREAD, LATER = 1e9, HEADERS["4.1"]


def packet(time: int, channel: int, kind: int, body: bytes = b"") -> bytes:
    return struct.pack("<QHHHBB", time, channel, kind, len(body) // 4, 0, 0) + body


def spike(time: int, channel: int = 1, unit: int = 0) -> bytes:
    return packet(time, channel, unit, struct.pack("<fffhh48h", 0, 0, 0, 9, -9, *range(-700, 740, 30)))


def monitor(time: int, sent: int, number: int) -> bytes:
    return packet(time, 0x8000, 1, struct.pack("<II", sent, number))


def identity(name: bytes) -> bytes:
    return packet(ORIGIN, 0x8000, 0x21, struct.pack("<II64s10I", 1, 0, name, 1, 284, *[0] * 7, 4 << 16 | 2))


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.fixture
def stream(tally: Tally) -> BlackrockStream:
    return BlackrockStream((33, 34, 40), tally)


def test_a_datagram_is_read(stream: BlackrockStream, tally: Tally) -> None:
    datagram = packet(ORIGIN, 0x8000, 0) + spike(ORIGIN - MS, 34, 2) + packet(ORIGIN, 0, 5, bytes(8))
    # A digital input, a spike of another array, and a preview are nobody's.
    datagram += packet(ORIGIN, 279, 0, bytes(12)) + spike(ORIGIN, 35) + packet(ORIGIN, 0x8021, 3, bytes(8))
    assert stream.feed(datagram + spike(ORIGIN, 40, 255)) == [
        Tick(ORIGIN), Spike(ORIGIN - MS, 1, 2), Tick(ORIGIN), Spike(ORIGIN, 2, 255),
    ]  # fmt: skip
    assert (tally, stream.rate_hz) == (Tally(), None)


@pytest.mark.parametrize(
    ("name", "rate_hz"), [(b"Gemini NSP", 1e9), (b"NSP 128-channel", 3e4), (b"256-Channel Player", 3e4)]
)
def test_the_unit_of_time_is_that_of_the_device(stream: BlackrockStream, name: bytes, rate_hz: float) -> None:
    assert stream.feed(identity(name)) == []
    assert stream.rate_hz == rate_hz


def test_the_settings_are_asked_for() -> None:
    assert request_settings(LATER) == packet(1, 0x8000, 0x88)
    assert request_settings(HEADERS["3.11"]) == bytes.fromhex("01000000 0080 88 00")


@pytest.mark.parametrize("protocol", ["3.11", "4.0"])
def test_packets_of_the_protocols_before_are_read(tally: Tally, protocol: str) -> None:
    stream, header = BlackrockStream((33,), tally, protocol), HEADERS[protocol]

    def send(time: int, channel: int, kind: int, body: bytes = b"") -> list[Spike | Tick]:
        rest = (0, 0) if protocol == "4.0" else ()
        return stream.feed(header.pack(time, channel, kind, len(body) // 4, *rest) + body)

    origin, found = 2**32 - 1000, list[Spike | Tick]()
    for k in range(12):
        # Of 32 bits, a time wraps around.
        time = (origin + 300 * k) % (2**32 if protocol == "3.11" else 2**64)
        found += send(time, 33, 2, bytes(112)) if k not in (6, 7) else []
        if k != 9:
            send(time, 0x8000, 1, struct.pack("<I", 2))
    assert found == [Spike(origin + 300 * k, 0, 2) for k in range(12) if k not in (6, 7)]
    # Monitors that have no number are missed by their time.
    assert (tally.lost_spikes, sum(tally.garbled.values())) == (2, 1)


@settings(max_examples=200, deadline=None)
@given(
    fates=st.lists(st.sampled_from(["whole", "time", "channel", "unit"]), min_size=1, max_size=12),
    cut=st.integers(0, 2000),
)
def test_what_cannot_be_believed_costs_itself_alone(fates: list[str], cut: int) -> None:
    """Garbled packets, and a datagram that ends too soon."""
    garbled = {"whole": (0, b""), "time": (7, b"\x40"), "channel": (8, b"\xff\x7f"), "unit": (10, b"\x4d\0")}
    datagram = b""
    for i, fate in enumerate(fates):
        good, (at, value) = spike(ORIGIN + MS * i, 33, 1), garbled[fate]
        datagram += good[:at] + value + good[at + len(value) :]
    tally, size = Tally(), len(spike(ORIGIN))
    stream = BlackrockStream((33,), tally)
    stream.feed(spike(ORIGIN, 33))
    n_left = min(cut // size, len(fates))
    found = stream.feed(datagram[:cut])
    expected = [Spike(ORIGIN + MS * i, 0, 1) for i in range(n_left) if fates[i] == "whole"]
    if all(fate != "whole" for fate in fates[:n_left]):
        # Only packets beside it show that a time is wrong.
        found = [each for each in found if each.sample < 2 * ORIGIN]
    assert found == expected
    n_bad = sum(fate in ("channel", "unit") for fate in fates[:n_left])
    assert sum(tally.garbled.values()) >= n_bad + (n_left < len(fates) and cut % size > 0)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=3000), st.none() | st.integers(0, 2**64 - 1))
def test_noise_is_no_packet_and_no_error(noise: bytes, near: int | None) -> None:
    packets, reasons = read_packets(noise, LATER, SPREAD, near)
    assert sum(16 + len(each.body) for each in packets) <= len(noise)
    assert bool(noise) <= bool(packets or reasons)
    BlackrockStream((1, 2), Tally()).feed(noise)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 700), st.binary(min_size=1, max_size=4))
def test_a_garbled_length_makes_no_spikes_of_waveforms(at: int, value: bytes) -> None:
    datagram = b"".join(spike(ORIGIN + MS * i, 33) for i in range(6))
    spoilt = datagram[:at] + value + datagram[at + len(value) :]
    packets, _ = read_packets(spoilt, LATER, SPREAD, ORIGIN)
    assert all(each.channel >= 0x8000 or abs(each.time - ORIGIN) <= SPREAD for each in packets)
    assert packets[: at // 128] == [Packet(ORIGIN + MS * i, 33, 0, spike(0)[16:]) for i in range(at // 128)]


class Device:
    """Sends ten datagrams to a monitor, each with spikes and a packet of continuous data at 1 kHz."""

    def __init__(self, stream: BlackrockStream) -> None:
        self.stream, self.time, self.number, self.lost = stream, ORIGIN, 0, 0

    def interval(self, dropped: frozenset[int] = frozenset(), *, monitored: bool = True) -> None:
        """One interval, in which some datagrams are dropped."""
        n_sent = 1
        for k in range(10):
            self.time += MS
            n_spikes = 1 + k % 4
            datagram = packet(self.time, 0, 2, bytes(8)) + n_spikes * spike(self.time, 33)
            datagram += packet(self.time, 0x8000, 0) * (k == 0)
            n_sent += n_spikes + 1 + (k == 0)
            self.lost += n_spikes * (k in dropped)
            if k not in dropped:
                self.stream.feed(datagram)
        self.number += 1
        if monitored:
            self.stream.feed(monitor(self.time, n_sent, self.number))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.frozensets(st.integers(0, 9), max_size=4), max_size=20))
def test_lost_spikes_are_counted_apart_from_what_has_a_pace(intervals: list[frozenset[int]]) -> None:
    tally = Tally()
    device = Device(BlackrockStream((33,), tally))
    none, before = frozenset[int](), frozenset[int]()
    # A pace shows after three packets, and a heartbeat that is missing with the next one.
    for dropped in [none, none, none, *intervals, none, none]:
        before = dropped - (before & {0})
        device.interval(before)
        assert tally.lost_spikes <= device.lost
    assert (tally.lost_spikes, tally.garbled) == (device.lost, {})


def test_a_lost_monitor_alone_is_no_spike(stream: BlackrockStream, tally: Tally) -> None:
    device = Device(stream)
    for monitored in (True, True, False, True, True, True):
        device.interval(monitored=monitored)
    assert tally.lost_spikes == 0
    assert sum(tally.garbled.values()) == 1


def test_losses_without_monitors_are_estimated(stream: BlackrockStream, tally: Tally) -> None:
    device = Device(stream)
    device.interval()
    device.interval()
    for _ in range(40):
        device.interval(frozenset(range(10)), monitored=False)
    device.interval()
    device.interval()
    assert tally.lost_spikes == pytest.approx(device.lost, rel=0.05)


def test_a_device_that_counts_anew_has_lost_nothing_by_that(stream: BlackrockStream, tally: Tally) -> None:
    device = Device(stream)
    device.interval()
    device.interval(frozenset({3}))
    device.interval()
    device.number, device.time = 0, 0
    for _ in range(3):
        device.interval()
    assert tally.lost_spikes == device.lost == 4


def test_a_packet_that_is_overtaken_by_a_monitor_is_lost_only_once(
    stream: BlackrockStream, tally: Tally
) -> None:
    datagrams = [(spike(ORIGIN + MS * i, 33), monitor(ORIGIN + MS * i, 2, i + 1)) for i in range(8)]
    for i, (data, end) in enumerate(datagrams):
        for each in (end, data) if i % 2 else (data, end):
            stream.feed(each)
    assert tally.lost_spikes <= 1
