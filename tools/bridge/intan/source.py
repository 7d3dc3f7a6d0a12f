"""The connections to the TCP servers of RHX: commands, waveforms and spikes."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import pylsl

from rtdecode.errors import RtdecodeError
from rtdecode.tools.bridge.intan.commands import PORTS, channel_names, setup, value_of
from rtdecode.tools.bridge.intan.counter import Counter32
from rtdecode.tools.bridge.intan.records import SpikeRecords
from rtdecode.tools.bridge.intan.waveforms import WaveformBlocks
from rtdecode.tools.bridge.items import ContinuousFormat, Item, Tally

CONNECT_S, REPLY_S = 1.0, 1.0

#: RHX needs this long for a command before the next one comes, and so long a reply may come in pieces.
PAUSE_S = 0.05

#: Waits between two attempts to connect: doubled each time.
RETRY_S, MOST_RETRY_S = 0.2, 2.0

#: Time without data from which the state says so.
SILENT_S = 2.0

#: Most bytes of one read, and most reads of a poll, so that what has arrived is sent on.
READ, MOST_READS = 1 << 18, 16

#: Whether the other end is there is asked after so many seconds of silence, how often, and how many times.
KEEP_ALIVE: Mapping[int, int] = MappingProxyType(
    {socket.TCP_KEEPIDLE: 3, socket.TCP_KEEPINTVL: 1, socket.TCP_KEEPCNT: 3}
)

#: Volts of one step of the wide band.
STEP = "0.195 microvolts"


@dataclass(frozen=True, kw_only=True)
class IntanSettings:
    """Where RHX is and what it sends.

    Attributes:
        host, port: of its command server.
        continuous: whether to take the wide band of all channels.
        run: whether to start the controller, if it is stopped.
    """

    host: str
    port: int
    continuous: bool = False
    run: bool = False


class _LostConnectionError(Exception):
    """A connection has ended, or did not come about; its text says which."""


class IntanSource:
    """Spikes and continuous data of RHX; see `Source` for its attributes and methods."""

    def __init__(self, settings: IntanSettings) -> None:
        self.n_channels: int | None = None
        self.rate_hz: float | None = None
        self.continuous: ContinuousFormat | None = None
        self.tally = Tally()
        self._settings = settings
        self._commands: socket.socket | None = None
        self._spikes: socket.socket | None = None
        self._waveforms: socket.socket | None = None
        self._counter = Counter32()
        self._records = SpikeRecords({}, self._counter, self.tally)
        self._blocks = WaveformBlocks(0, self._counter, self.tally)
        self._names: list[str] = []
        self._problem = ""
        self._retry_at_s, self._wait_s = 0.0, RETRY_S
        self._received_s = -SILENT_S

    @property
    def state(self) -> str:
        """What the connection is doing."""
        if self._spikes is None:
            where = f"{self._settings.host}:{self._settings.port}"
            return f"waiting for RHX at {where} ({self._problem or 'not tried yet'})"
        if time.monotonic() - self._received_s < SILENT_S:
            return "receiving"
        return "connected, RHX sends nothing; press Run"

    def poll(self, timeout_s: float) -> Sequence[tuple[float, Sequence[Item]]]:
        """Wait for data, or try to connect; see `Source`.

        Raises:
            RtdecodeError: RHX has other channels or another rate than before.
        """
        try:
            if self._spikes is None:
                if time.monotonic() < self._retry_at_s:
                    time.sleep(timeout_s)
                    return ()
                self._connect()
            return self._read(timeout_s)
        except (OSError, ValueError, _LostConnectionError) as error:
            self._lose(error)
            return ()

    def _lose(self, error: Exception) -> None:
        self._problem = str(error)
        self._disconnect()
        self._retry_at_s = time.monotonic() + self._wait_s
        self._wait_s = min(2.0 * self._wait_s, MOST_RETRY_S)

    def close(self) -> None:
        """End the connections."""
        self._disconnect()

    def _read(self, timeout_s: float) -> list[tuple[float, Sequence[Item]]]:
        """What has arrived; of a connection that has ended too, before it is lost."""
        commands, spikes, waveforms = self._commands, self._spikes, self._waveforms
        assert spikes is not None
        assert waveforms is not None
        waited = [spikes, waveforms] if commands is None else [spikes, waveforms, commands]
        ready, _, _ = select.select(waited, (), (), timeout_s)
        received: list[tuple[float, Sequence[Item]]] = []
        ended: Exception | None = None
        # Spikes first: those of a block are older than its last sample.
        readers = ((spikes, self._records.feed), (waveforms, self._blocks.feed))
        for _ in range(MOST_READS):
            n_before = len(received)
            for connection, feed in readers:
                arrival_s = pylsl.local_clock()
                try:
                    data = _take(connection)
                except (OSError, _LostConnectionError) as error:
                    ended = error
                    continue
                if data:
                    received.append((arrival_s, feed(data)))
            if len(received) == n_before:
                break
            self._received_s, self._wait_s = time.monotonic(), RETRY_S
        if commands in ready:
            try:
                _take(commands)
            except (OSError, _LostConnectionError):
                commands.close()
                self._commands = None
        if ended is None and self._commands is None and not received:
            ended = _LostConnectionError("RHX has closed the command connection")
        if ended is not None:
            self._lose(ended)
        return received

    def _connect(self) -> None:
        settings = self._settings
        self._commands = self._open(settings.port)
        rate_hz = float(self._ask("SampleRateHertz"))
        running = self._ask("RunMode").lower() != "stop"
        counts = [(port, int(self._ask(f"{port}.NumberAmplifierChannels", "0"))) for port in PORTS]
        names = channel_names(counts)
        self._check(names, rate_hz)
        for commands in setup(names, continuous=settings.continuous, running=running):
            self._commands.sendall(commands.encode())
            time.sleep(PAUSE_S)
        # RHX answers what it refuses, and is silent on what it has done.
        if refused := _drain(self._commands):
            raise _LostConnectionError(f"RHX refuses the settings: {refused[:200]}")
        ports = [int(self._ask(f"TCP{kind}DataOutputPort")) for kind in ("Waveform", "Spike")]
        self._waveforms = self._open(ports[0])
        spikes = self._open(ports[1])
        n_continuous = len(names) if settings.continuous else 0
        channels = {name.encode(): i for i, name in enumerate(names)}
        self._records = SpikeRecords(channels, self._counter, self.tally)
        self._blocks = WaveformBlocks(n_continuous, self._counter, self.tally)
        if settings.run and not running:
            self._commands.sendall(b"set runmode run;")
        self._spikes = spikes

    def _check(self, names: list[str], rate_hz: float) -> None:
        """Take what RHX says of itself, once."""
        if not names:
            raise _LostConnectionError("no headstage is connected")
        if self.rate_hz is not None and (names != self._names or rate_hz != self.rate_hz):
            raise RtdecodeError(
                f"has {len(names)} channels at {rate_hz:g} Hz, not {len(self._names)} at {self.rate_hz:g}",
                where=f"RHX at {self._settings.host}:{self._settings.port}",
                fix="start the bridge again, and its readers",
            )
        self._names, self.n_channels, self.rate_hz = names, len(names), rate_hz
        if self._settings.continuous:
            self.continuous = ContinuousFormat(rate_hz, "int16", tuple(names), STEP)

    def _open(self, port: int) -> socket.socket:
        opened = socket.create_connection((self._settings.host, port), CONNECT_S)
        opened.settimeout(None)
        # A machine that was switched off says nothing.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEP_ALIVE.items():
            opened.setsockopt(socket.IPPROTO_TCP, option, value)
        return opened

    def _ask(self, parameter: str, otherwise: str | None = None) -> str:
        """Value of a parameter; `otherwise` where RHX does not know it."""
        assert self._commands is not None
        _drain(self._commands)
        self._commands.sendall(f"get {parameter.lower()}".encode())
        deadline, reply = time.monotonic() + REPLY_S, ""
        while time.monotonic() < deadline and not reply:
            select.select((self._commands,), (), (), PAUSE_S)
            reply = _drain(self._commands)
        value = value_of(reply, parameter) or otherwise
        if value is None:
            raise _LostConnectionError(f"no answer to get {parameter}: {reply[:100] or 'nothing'}")
        return value

    def _disconnect(self) -> None:
        for each in (self._commands, self._spikes, self._waveforms):
            if each is not None:
                each.close()
        self._commands = self._spikes = self._waveforms = None
        self._records.end()
        self._blocks.end()


def _drain(connection: socket.socket) -> str:
    """What has arrived on the command port.

    Raises:
        _LostConnectionError: it has ended.
    """
    return _take(connection).decode("latin-1")


def _take(connection: socket.socket) -> bytes:
    """What has arrived, without waiting.

    Raises:
        _LostConnectionError: the connection has ended.
    """
    try:
        data = connection.recv(READ, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b""
    if not data:
        raise _LostConnectionError("RHX has closed the connection")
    return data
