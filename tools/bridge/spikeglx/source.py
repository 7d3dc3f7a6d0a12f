"""The connection to the command server of SpikeGLX."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pylsl

from rtdecode.errors import RtdecodeError
from rtdecode.tools.bridge.items import Block, ContinuousFormat, Item, Restart, Tally
from rtdecode.tools.bridge.spikeglx.replies import GarbledError, Replies, Reply

CONNECT_S, REPLY_S = 1.0, 2.0

#: Waits between two attempts to connect: none before the first, then doubled each time.
RETRY_S, MOST_RETRY_S = 0.2, 2.0

#: Time between two fetches, and between two attempts while nothing runs.
FETCH_EVERY_S, IDLE_S = 0.004, 0.1

#: Time without samples after which it is asked whether the run is the same, and a rate that none is below.
QUIET_S, SLOWEST = 0.5, 0.9

#: Most samples of one fetch.
MOST_SAMPLES = 6000

READ = 1 << 20


@dataclass(frozen=True, kw_only=True)
class SpikeGlxSettings:
    """Which stream of SpikeGLX.

    Attributes:
        host, port: of its command server.
        device: 0 NI, 1 OneBox, 2 imec probe.
        index: of the device among those of its kind.
        channels: numbers in the stream; None for all of its first group, AP of a probe.
    """

    host: str
    port: int
    device: int
    index: int
    channels: tuple[int, ...] | None = None


class _LostConnectionError(Exception):
    """The connection has ended, or did not come about; its text says which."""


class SpikeGlxSource:
    """Continuous data of SpikeGLX; see `Source` for its attributes and methods. It has no spikes."""

    def __init__(self, settings: SpikeGlxSettings) -> None:
        self.n_channels: int | None = None
        self.rate_hz: float | None = None
        self.continuous: ContinuousFormat | None = None
        self.tally = Tally()
        self.state = f"waiting for SpikeGLX at {settings.host}:{settings.port}"
        self._settings = settings
        self._stream = f"{settings.device} {settings.index}"
        self._connection: socket.socket | None = None
        self._replies = Replies()
        self._channels: tuple[int, ...] = ()
        self._next: int | None = None
        self._retry_at_s, self._wait_s, self._received_s, self._fetch_at_s = 0.0, 0.0, 0.0, 0.0

    def poll(self, timeout_s: float) -> Sequence[tuple[float, Sequence[Item]]]:
        """Fetch what is new, or try to connect; see `Source`.

        Raises:
            RtdecodeError: SpikeGLX has not the channels that are asked for, or others than before.
        """
        try:
            if self._connection is None:
                if time.monotonic() < self._retry_at_s:
                    time.sleep(timeout_s)
                    return ()
                self._connection = socket.create_connection(
                    (self._settings.host, self._settings.port), CONNECT_S
                )
                self._connection.settimeout(REPLY_S)
                self._replies = Replies()
                self._check_run()
            elif time.monotonic() - self._received_s > QUIET_S:
                self._check_run()
            return self._fetch()
        except GarbledError as error:
            self.tally.garbled[str(error)] += 1
            self._lose(str(error))
        except (OSError, ValueError, IndexError, _LostConnectionError) as error:
            self._lose(str(error))
        return ()

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _lose(self, problem: str) -> None:
        self.close()
        self.state = f"waiting for SpikeGLX at {self._settings.host}:{self._settings.port} ({problem})"
        self._retry_at_s = time.monotonic() + self._wait_s
        self._wait_s = min(max(2.0 * self._wait_s, RETRY_S), MOST_RETRY_S)

    def _fetch(self) -> Sequence[tuple[float, Sequence[Item]]]:
        items: list[Item] = []
        if self._next is None:
            if not self._begin():
                time.sleep(IDLE_S)
                return ()
            items.append(Restart())
        assert self._next is not None
        # Before a fetch, not after it: what has arrived is sent on first.
        time.sleep(max(self._fetch_at_s - time.monotonic(), 0.0))
        subset = "#".join(map(str, self._channels)) + "#"
        reply = self._ask(f"FETCH {self._stream} {self._next} {MOST_SAMPLES} {subset} 1")
        arrival_s = pylsl.local_clock()
        if reply.error is not None:
            self._refused(reply.error)
            return ()
        values = reply.values
        if values is None or values.shape[1] != len(self._channels) or len(values) > MOST_SAMPLES:
            raise GarbledError("reply is of another fetch")
        if len(values) and reply.first != self._next:
            raise GarbledError("reply is of another fetch")
        if len(values):
            self._next += len(values)
            self._wait_s, self.state, self._received_s = 0.0, "receiving", time.monotonic()
            items.append(Block(self._next - 1, values))
        self._fetch_at_s = time.monotonic() + FETCH_EVERY_S
        return ((arrival_s, items),)

    def _check_run(self) -> None:
        """Whether it is still the run whose samples came last: another one has counted less since."""
        if self._next is None or self.rate_hz is None:
            return
        since_s = time.monotonic() - self._received_s
        if self._count() < self._next + self.rate_hz * (SLOWEST * since_s - QUIET_S):
            self._next = None

    def _refused(self, error: str) -> None:
        """A fetch that SpikeGLX refuses: the run has ended, or the samples have left its buffer."""
        if "too late" in error.lower():
            newest = self._count()
            assert self._next is not None
            self.tally.lost_samples += max(newest - self._next, 0)
            self._next = newest
            return
        self._next = None
        self.state = f"connected, SpikeGLX sends nothing; start a run ({error})"
        time.sleep(IDLE_S)

    def _begin(self) -> bool:
        """Learn what the stream is, and begin with its newest sample; whether a run is under way."""
        if self._ask("ISRUNNING").lines != ("1",):
            self.state = "connected, SpikeGLX sends nothing; start a run"
            return False
        count = self._count()
        if count <= 0:
            return False
        rate_hz = float(self._value(f"GETSTREAMSAMPLERATE {self._stream}"))
        groups = [int(text) for text in self._value(f"GETSTREAMACQCHANS {self._stream}").split()]
        n_first = next((n for n in groups if n), 0)
        channels = self._settings.channels or tuple(range(n_first))
        if not channels or max(channels) >= sum(groups):
            raise RtdecodeError(
                f"has {sum(groups)} channels, which lacks some of those asked for",
                where="SpikeGLX's stream",
                fix="give --channels within them, or another --device or --index",
            )
        if self.rate_hz not in (None, rate_hz) or self._channels not in ((), channels):
            raise RtdecodeError(
                f"has {len(channels)} channels at {rate_hz:g} Hz, not those of the run before",
                where="SpikeGLX's stream",
                fix="start the bridge again, and its readers",
            )
        volts = float(self._value(f"GETSTREAMI16TOVOLTS {self._stream} {channels[0]}"))
        self.rate_hz, self._channels, self._next = rate_hz, channels, count
        labels = tuple(f"CH{channel}" for channel in channels)
        self.continuous = ContinuousFormat(rate_hz, "int16", labels, f"{1e6 * volts:g} microvolts")
        return True

    def _count(self) -> int:
        return int(self._value(f"GETSTREAMSAMPLECOUNT {self._stream}"))

    def _value(self, query: str) -> str:
        reply = self._ask(query)
        if reply.error is not None:
            raise _LostConnectionError(reply.error)
        return reply.lines[0]

    def _ask(self, command: str) -> Reply:
        connection = self._connection
        assert connection is not None
        connection.sendall(f"{command}\n".encode())
        while True:
            data = connection.recv(READ)
            if not data:
                raise _LostConnectionError("SpikeGLX has closed the connection")
            if replies := self._replies.feed(data):
                return replies[0]
