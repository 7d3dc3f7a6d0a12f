"""The TCP servers of Intan's RHX, as its manual and its clients describe them, with faults.

A thread that answers commands, and every 128 samples writes a block to the waveform port and its spikes to
the spike port. Spikes of a block that is dropped do not come about.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time

import numpy as np
import pylsl
from bridged import Faults, Sent, wait_until
from emulator import Emulator

BLOCK = 128
BITS = {0: 0x40, 1: 1, 2: 2, 3: 4, 4: 8, 255: 0x80}


class IntanEmulator(Emulator):
    """Sends spikes of `n_channels` on port A at `spikes_hz` in all, while it runs.

    It ends in the middle of a record and of a block.

    Args:
        ports: of commands, waveforms and spikes.
        drift_ppm: of the device's clock.
        first_sample: number of the first sample after a start.

    Attributes:
        dropped: samples of blocks that were dropped.
        commands: all that were received.
        begun_s: LSL time of the first sample.
    """

    def __init__(
        self,
        ports: tuple[int, int, int],
        *,
        n_channels: int = 64,
        spikes_hz: float = 5000.0,
        rate_hz: float = 30_000.0,
        drift_ppm: float = 100.0,
        first_sample: int = 0,
        faults: Faults | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.sent, self.faults = Sent(), faults or Faults()
        self.dropped, self.commands = 0, list[str]()
        self.begun_s = 0.0
        self.rate_hz = rate_hz * (1 + 1e-6 * drift_ppm)
        self.command_port = ports[0]
        self._ports = dict(zip(("command", "waveform", "spike"), ports, strict=True))
        self._n_channels, self.first_sample, self._stated_hz = n_channels, first_sample, rate_hz
        self._per_block = spikes_hz * BLOCK / rate_hz
        self._rng = np.random.default_rng(seed)
        self._running = self._wide = False

    def start(self) -> None:
        """Start the program; a client starts the controller, or it runs on."""
        self.sent.late_s.append(1.0)
        super().start()

    def _run(self) -> None:
        with contextlib.ExitStack() as stack:
            self._stack = stack
            self._servers: dict[str, socket.socket] = {}
            self._clients: dict[str, socket.socket] = {}
            self._running = self._wide = False
            self._listen("command")
            sample = self.first_sample
            while not self._stopping.is_set():
                self._accept()
                self._obey()
                if not self._running or "spike" not in self._clients:
                    time.sleep(0.002)
                    self.begun_s = pylsl.local_clock()
                    continue
                self._send_block(sample)
                sample += BLOCK
            for name, piece in (("spike", struct.pack("<I", 0x3AE2710F) + b"A-0"), ("waveform", b"\x08\x7a")):
                if name in self._clients:
                    self._clients[name].sendall(piece)

    def _listen(self, name: str) -> None:
        server = socket.create_server(("127.0.0.1", self._ports[name]))
        server.setblocking(False)
        self._servers[name] = self._stack.enter_context(server)

    def _accept(self) -> None:
        for name in self._servers.keys() - self._clients.keys():
            with contextlib.suppress(BlockingIOError):
                self._clients[name] = self._stack.enter_context(self._servers[name].accept()[0])

    def _obey(self) -> None:
        client = self._clients.get("command")
        if client is None:
            return
        try:
            text = client.recv(1024, socket.MSG_DONTWAIT).decode().lower()
        except BlockingIOError:
            return
        for command in filter(None, map(str.strip, text.split(";"))):
            self.commands.append(command)
            if reply := self._reply(command):
                client.sendall(reply.encode())

    def _reply(self, command: str) -> str:
        verb, _, what = command.partition(" ")
        if verb == "get":
            values = {
                "sampleratehertz": f"SampleRateHertz {self._stated_hz:.0f}",
                "runmode": f"RunMode {'Run' if self._running else 'Stop'}",
                "a.numberamplifierchannels": f"NumberAmplifierChannels {self._n_channels}",
                "tcpwaveformdataoutputport": f"TCPWaveformDataOutputPort {self._ports['waveform']}",
                "tcpspikedataoutputport": f"TCPSpikeDataOutputPort {self._ports['spike']}",
            }
            return f"Return: {values[what]}" if what in values else "Unrecognized parameter"
        if what in ("connecttcpwaveformdataoutput", "connecttcpspikedataoutput"):
            self._listen(what.removeprefix("connecttcp").removesuffix("dataoutput"))
        elif what == "runmode run":
            self._running = True
        elif what.endswith(".tcpdataoutputenabled true"):
            self._wide = True
        elif what == "tcpnumberdatablocksperwrite 1" and self._running:
            return "TCPNumberDataBlocksPerWrite cannot be set while controller is running."
        return ""

    def _send_block(self, first: int) -> None:
        begin = first - self.first_sample
        blocks, records = self._make_block(first), b""
        dropped = self._rng.random() < self.faults.drop
        if not dropped:
            records = self._make_records(first, begin)
        late_s = wait_until(self.begun_s + (begin + BLOCK) / self.rate_hz)
        self.sent.late_s[-1] = min(self.sent.late_s[-1], late_s)
        if self._rng.random() < self.faults.delay:
            time.sleep(self._rng.random() * self.faults.late_s)
        self.sent.note_sent()
        if dropped:
            self.dropped += BLOCK
            return
        with contextlib.suppress(OSError):
            self._clients["waveform"].sendall(blocks)
            self._clients["spike"].sendall(records)

    def _make_block(self, first: int) -> bytes:
        n = self._n_channels if self._wide else 0
        rows = np.zeros(BLOCK, [("sample", "<u4"), ("values", "<u2", (n,))])
        samples = np.arange(first, first + BLOCK)
        rows["sample"] = samples % 2**32
        # Channel c has the value 10 c + sample % 1000.
        rows["values"] = 32768 + 10 * np.arange(n) + samples[:, None] % 1000
        return struct.pack("<I", 0x2EF07A08) + rows.tobytes()

    def _make_records(self, first: int, begin: int) -> bytes:
        records = b""
        for within in sorted(self._rng.integers(BLOCK, size=self._rng.poisson(self._per_block))):
            channel, unit = (
                int(self._rng.integers(self._n_channels)),
                (0, 1, 2, 3, 4, 255)[self._rng.integers(6)],
            )
            name, sample = f"A-{channel:03d}".encode(), int(first + within) % 2**32
            record = struct.pack("<I5sIB", 0x3AE2710F, name, sample, BITS[unit])
            whole = self._rng.random() >= self.faults.garble
            if not whole:
                at = int(self._rng.choice([0, 1, 2, 3, 4, 5, 6, 7, 8, 13]))
                record = record[:at] + b"\xee" + record[at + 1 :]
            elif self._rng.random() < self.faults.garble:
                record = self._rng.bytes(5) + record
            records += record
            at_s = self.begun_s + (begin + int(within)) / self.rate_hz
            self.sent.add(channel, unit, at_s, whole=whole)
        return records
