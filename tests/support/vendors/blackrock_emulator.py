"""A Blackrock device on UDP, as the published headers of its protocol describe it, with faults.

A thread that answers the request for its settings. Every 2 ms it sends the spikes whose waveforms are
complete in one datagram, every 10 ms with a heartbeat, and then a monitor in a datagram of its own. With
continuous data, packets of a sample group at 500 Hz are among the spikes.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct

import numpy as np
import pylsl
from bridged import Faults, Sent, wait_until
from emulator import Emulator

HEADERS = {"3.11": "<IHBB", "4.1": "<QHHHBB"}

#: Samples of a datagram, and of a waveform and before its threshold.
BLOCK, WAVEFORM, BEFORE = 60, 48, 10

BLOCKS_PER_MONITOR = 5
UNITS = (0, 1, 2, 3, 4, 5, 255)


class BlackrockEmulator(Emulator):
    """Sends spikes of `n_channels` at `spikes_hz` in all until `stop`, and then what shows the last losses.

    At each start the monitors' numbers begin anew, and an NSP's time too; a Gemini's continues.

    Args:
        ports: of this device, and that to which it sends.
        gemini: whether its time is in nanoseconds, or in samples.
        drift_ppm: of the device's clock.
        protocol: 3.11 or 4.1.
        first_sample: number of an NSP's first sample.
        first_channel: number of the first channel.
        continuous: whether there are continuous data.
        spare_monitors: whether no monitor is lost.

    Attributes:
        lost: spikes that were sent and never came whole.
        lost_monitors: monitors that never came.
        asked: requests for the settings.
    """

    def __init__(
        self,
        ports: tuple[int, int],
        *,
        gemini: bool = True,
        n_channels: int = 96,
        first_channel: int = 1,
        protocol: str = "4.1",
        first_sample: int = 0,
        spikes_hz: float = 5000.0,
        drift_ppm: float = 100.0,
        continuous: bool = False,
        spare_monitors: bool = False,
        faults: Faults | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.sent, self.faults = Sent(), faults or Faults()
        self.lost_monitors = self.asked = 0
        self._header, self._protocol, self._first = struct.Struct(HEADERS[protocol]), protocol, first_sample
        self._gemini, self._continuous, self._spare_monitors = gemini, continuous, spare_monitors
        self._n_channels, self._first_channel = n_channels, first_channel
        self._per_block = spikes_hz * BLOCK / 30_000.0
        self.rate_hz = 30_000.0 * (1 + 1e-6 * drift_ppm)
        self._rng = np.random.default_rng(seed)
        waveform = self._rng.integers(-500, 500, WAVEFORM, np.int16).tobytes()
        self._waveform = struct.pack("<fffhh", 0.0, 0.0, 0.0, 500, -500) + waveform
        self._to = ("127.0.0.1", ports[1])
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", ports[0]))
        self._socket.setblocking(False)
        self._sample = 0

    @property
    def lost(self) -> int:
        return len(self.sent.whole) - sum(self.sent.whole)

    def start(self) -> None:
        """Start the device."""
        self.sent.late_s.append(1.0)
        super().start()

    def close(self) -> None:
        """End the device for good."""
        super().close()
        self._socket.close()

    def _run(self) -> None:
        self._number = self._n_sent = 0
        # What is sent before somebody listens is not for it.
        while not self.asked and not self._stopping.is_set():
            select.select((self._socket,), (), (), 0.05)
            self._answer()
        now_s = pylsl.local_clock()
        if not self._gemini or self._sample == 0:
            self._sample, self._origin_s = self._first, now_s - self._first / self.rate_hz
        else:
            # Its clock ran on.
            self._sample = int((now_s - self._origin_s) * self.rate_hz) // BLOCK * BLOCK + BLOCK
        block = ending = 0
        while ending < 3:
            if block % BLOCKS_PER_MONITOR == 0:
                ending += self._stopping.is_set()
                self._answer()
            self._send_block(last=(block + 1) % BLOCKS_PER_MONITOR == 0, quiet=ending > 0)
            block += 1

    def _answer(self) -> None:
        """Answer a request for the settings, if there is one."""
        with contextlib.suppress(BlockingIOError):
            if self._header.unpack_from(self._socket.recv(2048))[1:3] != (0x8000, 0x88):
                return
            self.asked += 1
            name = b"Gemini NSP" if self._gemini else b"NSP"
            body = struct.pack("<II64s10I", 1, 0, name, 1, 284, 0, 0, 0, 0, 0, 0, 0, 4 << 16 | 1)
            answers = [
                self._packet(self._sample, 0x8000, 0x08),
                self._packet(self._sample, 0x8000, 0x21, body),
            ]
            self._n_sent += len(answers)
            self._socket.sendto(b"".join(answers), self._to)

    def _send_block(self, *, last: bool, quiet: bool) -> None:
        packets = [] if quiet else self._make_spikes()
        if self._continuous:
            packets.append((self._packet(self._sample, 0, 1, bytes(64)), None))
        self._sample += BLOCK
        if last:
            packets.insert(0, (self._packet(self._sample, 0x8000, 0x00), None))
        # What was lost before the first monitor is not known.
        faulty = self._number > 0 and not quiet
        due_s = self._origin_s + self._sample / self.rate_hz
        late_s = wait_until(due_s)
        self.sent.late_s[-1] = min(self.sent.late_s[-1], late_s)
        if faulty and self._rng.random() < self.faults.delay:
            wait_until(pylsl.local_clock() + self._rng.random() * self.faults.late_s)
        self.sent.note_sent()
        if packets:
            self._send_spoilt(packets, faulty=faulty)
        if last:
            self._send_monitor(faulty=faulty)

    def _make_spikes(self) -> list[tuple[bytes, int | None]]:
        """Packets of the spikes that are complete, and which they are."""
        made: list[tuple[bytes, int | None]] = []
        first = self._sample - (WAVEFORM - BEFORE)
        if first < self._first:
            return made
        n = self._rng.poisson(self._per_block)
        samples = first + np.sort(self._rng.integers(BLOCK, size=n))
        channels, units = self._rng.integers(self._n_channels, size=n), self._rng.choice(UNITS, n)
        for sample, channel, unit in zip(samples.tolist(), channels.tolist(), units.tolist(), strict=True):
            packet = self._packet(sample, self._first_channel + channel, unit, self._waveform)
            made.append((packet, len(self.sent.unit)))
            self.sent.add(channel, unit, self._origin_s + sample / self.rate_hz, whole=True)
        return made

    def _send_spoilt(self, packets: list[tuple[bytes, int | None]], *, faulty: bool) -> None:
        """Send packets as a datagram, unless it is lost; one that is garbled may harm those after it."""
        self._n_sent += len(packets)
        if faulty and self._rng.random() < self.faults.drop:
            self._lose(packets)
            return
        datagram = b""
        for k, (packet, which) in enumerate(packets):
            if which is None or not faulty or self._rng.random() >= self.faults.garble:
                datagram += packet
                continue
            kind = self._rng.integers(5)
            if kind < 3:
                # An impossible time, channel or unit is of this one alone.
                at, value = self._garbles()[kind]
                datagram += packet[:at] + value + packet[at + len(value) :]
                self._lose([(packet, which)])
                continue
            self._lose(packets[k:])
            if kind == 3:
                at, value = self._garbles()[kind]
                datagram += packet[:at] + value + packet[at + len(value) :]
                datagram += b"".join(each for each, _ in packets[k + 1 :])
            else:
                datagram += packet[: self._rng.integers(1, len(packet))]
            break
        self._socket.sendto(datagram, self._to)

    def _send_monitor(self, *, faulty: bool) -> None:
        self._n_sent, n_sent = 0, self._n_sent + 1
        self._number += 1
        if faulty and not self._spare_monitors and self._rng.random() < self.faults.drop:
            self.lost_monitors += 1
            return
        body = struct.pack("<II", n_sent, self._number)[: 4 if self._protocol == "3.11" else 8]
        self._socket.sendto(self._packet(self._sample, 0x8000, 0x01, body), self._to)

    def _garbles(self) -> tuple[tuple[int, bytes], ...]:
        """Where and how a time, a channel, a unit, and a length are garbled."""
        if self._protocol == "3.11":
            return (3, b"\x40"), (4, b"\xff\x7f"), (6, b"\x4d"), (7, b"\xff")
        return (7, b"\x40"), (8, b"\xff\x7f"), (10, b"\x4d\0"), (12, b"\xff\xff")

    def _lose(self, packets: list[tuple[bytes, int | None]]) -> None:
        for _, which in packets:
            if which is not None:
                self.sent.whole[which] = False

    def _packet(self, sample: int, channel: int, kind: int, body: bytes = b"") -> bytes:
        # A Gemini's time is that of its network, since 1970.
        time = 1_700_000_000 * 10**9 + sample * 10**5 // 3 if self._gemini else sample
        if self._protocol == "3.11":
            return self._header.pack(time % 2**32, channel, kind, len(body) // 4) + body
        return self._header.pack(time, channel, kind, len(body) // 4, 0, 0) + body
