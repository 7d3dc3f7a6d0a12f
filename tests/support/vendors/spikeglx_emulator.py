"""The command server of SpikeGLX, as its source describes it, with faults.

A thread that answers one client at a time. Channel c of sample s has the value 10 c + s % 1000.
"""

from __future__ import annotations

import contextlib
import socket
import time

import numpy as np
import pylsl
from emulator import Emulator


class SpikeGlxEmulator(Emulator):
    """Has one imec probe of `n_channels` AP channels, as many LF channels, and a sync word.

    Args:
        port: of the command server.
        drift_ppm: of the device's clock.

    Attributes:
        garble: probability that a reply to FETCH is garbled or cut off.
        begun_s: LSL time of the first sample of the run.
        lost: samples of all runs that were passed over, after the first that was fetched.
    """

    def __init__(
        self, port: int, *, n_channels: int = 4, rate_hz: float = 30_000.0, drift_ppm: float = 100.0
    ) -> None:
        super().__init__()
        self.port, self.n_channels, self.stated_hz = port, n_channels, rate_hz
        self.rate_hz = rate_hz * (1 + 1e-6 * drift_ppm)
        self.garble, self.begun_s, self.running = 0.0, 0.0, False
        self._forgotten = self.lost = 0
        self._next: int | None = None
        self._rng = np.random.default_rng(0)
        self._server = socket.create_server(("127.0.0.1", port))
        self._server.settimeout(0.05)
        self.start()

    def begin_run(self) -> None:
        """Begin a run: samples count from 0."""
        self._forgotten, self._next = 0, None
        self.begun_s, self.running = pylsl.local_clock(), True

    def end_run(self) -> None:
        """End the run."""
        self.running = False

    def forget(self) -> None:
        """Lose all samples so far from the buffer, as when a client is too slow."""
        self._forgotten = self._count()

    def close(self) -> None:
        """End the server."""
        super().close()
        self._server.close()

    def _count(self) -> int:
        # Packets of 12 samples.
        if not self.running:
            return 0
        return int((pylsl.local_clock() - self.begun_s) * self.rate_hz) // 12 * 12

    def _run(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(OSError):
                client, _ = self._server.accept()
                with client:
                    client.settimeout(0.05)
                    self._serve(client)

    def _serve(self, client: socket.socket) -> None:
        waiting = b""
        while not self._stopping.is_set():
            try:
                data = client.recv(4096)
            except TimeoutError:
                continue
            if not data:
                return
            *lines, waiting = (waiting + data).split(b"\n")
            for line in lines:
                words = line.decode().split()
                reply = self._reply(words)
                if words[0] == "FETCH" and self._rng.random() < self.garble:
                    client.sendall(b"BINXRY" + reply[6:] if self._rng.random() < 0.5 else reply[:15])
                    return
                client.sendall(reply)
                if reply.startswith(b"BINARY_DATA"):
                    self._note(int(words[3]), int(reply.split(maxsplit=3)[2]))

    def _note(self, first: int, n: int) -> None:
        """Note that samples have been fetched."""
        self.lost += first - (first if self._next is None else self._next)
        self._next = first + n

    def _reply(self, words: list[str]) -> bytes:
        n = self.n_channels
        answers = {
            "ISRUNNING": str(int(self.running)),
            "GETSTREAMSAMPLERATE": f"{self.stated_hz:.6f}",
            "GETSTREAMACQCHANS": f"{n} {n} 1",
            "GETSTREAMI16TOVOLTS": "2.34375e-06",
            "GETSTREAMSAMPLECOUNT": str(self._count()),
        }
        if words[0] in answers:
            return f"{answers[words[0]]}\nOK\n".encode()
        if words[0] != "FETCH":
            return f"ERROR CmdWorker: Unknown command [{words[0]}].\n".encode()
        return self._fetch(int(words[3]), int(words[4]), words[5])

    def _fetch(self, first: int, most: int, subset: str) -> bytes:
        if not self.running:
            return b"ERROR FETCH: Not running or stream not enabled.\n"
        if first < self._forgotten:
            return b"ERROR FETCH: Too late.\n"
        for _ in range(3):
            if (n := min(max(self._count() - first, 0), most)) > 0:
                break
            time.sleep(0.001)
        channels = np.array([int(text) for text in subset.split("#") if text])
        values = (10 * channels + np.arange(first, first + n)[:, None] % 1000).astype("<i2")
        return f"BINARY_DATA {len(channels)} {n} uint64({first})\n".encode() + values.tobytes() + b"OK\n"
