"""The ZMQ Interface plugin of the Open Ephys GUI, as its pages and its messages describe it, with faults.

A thread with a PUB socket for data and a REP socket for heartbeats. Every block of 10 ms sends its spikes,
then its continuous data, one message a channel, as soon as its last sample was taken.
"""

from __future__ import annotations

import json
import time

import numpy as np
import pylsl
import zmq
from bridged import Faults, Sent, wait_until
from emulator import Emulator

BLOCK = 300


class OpenEphysEmulator(Emulator):
    """Sends spikes of `n_channels` electrodes at `spikes_hz` in all until `stop`; the unit numbers them.

    At each start all numbers begin anew.

    Args:
        port: data port; the listening port is the next.
        drift_ppm: of the device's clock.
        n_continuous: channels of continuous data; channel c has the value 1000 c + sample % 1000.
    """

    def __init__(
        self,
        port: int,
        *,
        n_channels: int = 96,
        spikes_hz: float = 5000.0,
        rate_hz: float = 30_000.0,
        drift_ppm: float = 100.0,
        n_continuous: int = 0,
        faults: Faults | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.sent, self.faults = Sent(), faults or Faults()
        self.beats = self.first_sample = 0
        self._port, self._n_channels, self._n_continuous = port, n_channels, n_continuous
        self._stated_hz, self._spikes_hz = rate_hz, spikes_hz
        self.rate_hz = rate_hz * (1 + 1e-6 * drift_ppm)
        self._rng = np.random.default_rng(seed)
        self._context = zmq.Context()

    def close(self) -> None:
        """End the system for good."""
        super().close()
        self._context.destroy(linger=0)

    def _run(self) -> None:
        # As PUB, and says when there is a subscriber.
        data, heart = self._context.socket(zmq.XPUB), self._context.socket(zmq.REP)
        data.setsockopt(zmq.SNDHWM, 0)
        data.setsockopt(zmq.LINGER, 200)
        for socket, port in ((data, self._port), (heart, self._port + 1)):
            _bind(socket, port)
        # What is sent before a subscriber has connected is not for it.
        assert data.poll(20_000)
        data.recv()
        self.sent.late_s.append(1.0)
        self._number, sample, self.begun_s = 0, 0, pylsl.local_clock()
        while not self._stopping.is_set():
            self._messages: list[list[bytes]] = []
            self._make_spikes(sample)
            for channel in range(self._n_continuous):
                self._make_block(sample, channel)
            sample += BLOCK
            due_s = self.begun_s + sample / self.rate_hz
            wait_until(due_s)
            if self._rng.random() < self.faults.delay:
                time.sleep(self._rng.random() * self.faults.late_s)
            self.sent.note_sent()
            for message in self._messages:
                data.send_multipart(message)
            self.sent.late_s[-1] = min(self.sent.late_s[-1], pylsl.local_clock() - due_s)
            while heart.poll(0):
                self.beats += json.loads(heart.recv())["type"] == "heartbeat"
                heart.send(b"heartbeat received")
        data.close()
        heart.close()

    def _make_spikes(self, first: int) -> None:
        n = self._rng.poisson(self._spikes_hz * BLOCK / self.rate_hz)
        # Each electrode's detector goes through the block by itself.
        for channel in sorted(self._rng.integers(0, self._n_channels, n)):
            sample, unit = first + int(self._rng.integers(BLOCK)), len(self.sent.unit)
            spike = {
                "stream": "Rhythm Data", "source_node": 104, "electrode": f"Electrode {channel + 1}",
                "sample_num": sample, "num_channels": 1, "num_samples": 40, "sorted_id": unit,
                "threshold": [-50.0],
            }  # fmt: skip
            header = {"type": "spike", "spike": spike, "timestamp": 1_700_000_000_000}
            whole = self._make(b"EVENT\0", header, np.zeros(40, "<f4").tobytes())
            self.sent.add(int(channel), unit, self.begun_s + sample / self.rate_hz, whole=whole)

    def _make_block(self, first: int, channel: int) -> None:
        values = (1000 * channel + np.arange(first, first + BLOCK) % 1000).astype("<f4")
        content = {
            "stream": "Rhythm Data", "channel_num": channel, "num_samples": BLOCK, "sample_num": first,
            "sample_rate": self._stated_hz,
        }  # fmt: skip
        header = {"type": "data", "content": content, "data_size": 4 * BLOCK, "timestamp": 1_700_000_000_000}
        self._make(b"DATA\0", header, values.tobytes())

    def _make(self, word: bytes, header: dict[str, object], body: bytes) -> bool:
        """Make a message, unless it is lost; returns whether it is whole."""
        self._number += 1
        if self._rng.random() < self.faults.drop:
            return False
        frames = [word, json.dumps({"message_num": self._number, **header}).encode(), body]
        whole = self._rng.random() >= self.faults.garble
        if not whole:
            cut = int(self._rng.integers(len(frames[1])))
            damaged = ([word, frames[1][:cut], body], [word], [word, self._rng.bytes(8) + frames[1], body])
            frames = damaged[self._rng.integers(3)]
        self._messages.append(frames)
        return whole


def _bind(socket: zmq.Socket[bytes], port: int) -> None:
    """Bind as soon as a socket that was closed has let go of the port, which ZeroMQ does later."""
    deadline = time.monotonic() + 5.0
    while True:
        try:
            socket.bind(f"tcp://127.0.0.1:{port}")
            return
        except zmq.ZMQError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
