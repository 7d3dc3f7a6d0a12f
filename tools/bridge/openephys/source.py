"""The connection to the ZMQ Interface plugin of the Open Ephys GUI."""

from __future__ import annotations

import contextlib
import json
import math
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pylsl
import zmq

from rtdecode.errors import RtdecodeError
from rtdecode.tools.bridge.items import ContinuousFormat, Item, Tally
from rtdecode.tools.bridge.openephys.stream import Electrodes, OpenEphysStream

#: The plugin takes a client for dead without one for 5 s.
HEARTBEAT_S = 2.0

#: Time without an answer to a heartbeat, or without a message, from which the state says so.
SILENT_S = 5.0

#: Most messages of one poll, so that what has arrived is sent on.
MOST_AT_ONCE = 2000

#: A block is over when nothing has come for so long, or after so long.
QUIET_S, GATHER_S = 0.001, 0.005

RECONNECT_MS, MOST_RECONNECT_MS = 100, 2000


@dataclass(frozen=True, kw_only=True)
class OpenEphysSettings:
    """Where the plugin is and what it sends.

    Attributes:
        host, port: of the plugin's data port; its listening port is the next.
        n_channels: of spikes.
        rate_hz: sampling rate.
        electrodes: names in the order of the channels; None: numbered by their names.
        continuous: whether to take continuous data.
    """

    host: str
    port: int
    n_channels: int
    rate_hz: float
    electrodes: tuple[str, ...] | None = None
    continuous: bool = False


class OpenEphysSource:
    """Spikes and continuous data of the plugin; see `Source` for its attributes and methods."""

    def __init__(self, settings: OpenEphysSettings) -> None:
        self.n_channels: int | None = settings.n_channels
        self.rate_hz: float | None = settings.rate_hz
        self.continuous: ContinuousFormat | None = None
        self.tally = Tally()
        self._settings = settings
        electrodes = Electrodes(settings.n_channels, settings.electrodes)
        self._stream = OpenEphysStream(electrodes, self.tally, wants_blocks=settings.continuous)
        self._context = zmq.Context()
        address = f"tcp://{settings.host}"
        self._data = self._open(zmq.SUB, f"{address}:{settings.port}")
        self._data.subscribe(b"")
        self._heart = self._open(zmq.REQ, f"{address}:{settings.port + 1}")
        self._poller = zmq.Poller()
        self._poller.register(self._data, zmq.POLLIN)
        self._poller.register(self._heart, zmq.POLLIN)
        self._beat = json.dumps(
            {"application": "rtdecode bridge", "uuid": str(uuid.uuid4()), "type": "heartbeat"}
        ).encode()
        self._beat_at_s = self._answered_s = self._received_s = -SILENT_S

    @property
    def state(self) -> str:
        """What the connection is doing."""
        now = time.monotonic()
        if now - self._received_s < SILENT_S:
            return "receiving"
        if now - self._answered_s < SILENT_S:
            return "connected, the plugin sends nothing; start acquisition"
        return f"waiting for the plugin at {self._settings.host}:{self._settings.port}"

    def poll(self, timeout_s: float) -> Sequence[tuple[float, Sequence[Item]]]:
        """Wait for messages; see `Source`.

        Raises:
            RtdecodeError: the plugin samples at another rate.
        """
        self._send_heartbeat()
        arrived = self._gather(timeout_s)
        received = [(arrival_s, self._stream.feed(frames)) for arrival_s, frames in arrived]
        if received:
            self._received_s = time.monotonic()
            self._check_format()
        return received

    def _gather(self, timeout_s: float) -> list[tuple[float, list[bytes]]]:
        """Messages of whole blocks, in which spikes come by electrode, so that they can be sent in order.

        All are read before the first is parsed, so that parsing makes none of them late.
        """
        arrived: list[tuple[float, list[bytes]]] = []
        wait_s, most_s = timeout_s, math.inf
        while len(arrived) < MOST_AT_ONCE and time.monotonic() < most_s:
            ready = dict(self._poller.poll(round(wait_s * 1e3)))
            if self._heart in ready:
                self._heart.recv()
                self._answered_s = time.monotonic()
            if self._data not in ready:
                break
            with contextlib.suppress(zmq.Again):
                while len(arrived) < MOST_AT_ONCE:
                    frames = self._data.recv_multipart(zmq.NOBLOCK)
                    arrived.append((pylsl.local_clock(), frames))
            if arrived[-1][1][0].startswith(b"DATA"):
                # Data follow a block's spikes.
                break
            wait_s, most_s = QUIET_S, min(most_s, time.monotonic() + GATHER_S)
        return arrived

    def close(self) -> None:
        """End the connection."""
        self._context.destroy(linger=0)

    def _open(self, kind: int, address: str) -> Any:
        socket = self._context.socket(kind)
        socket.setsockopt(zmq.RCVHWM, 0)
        socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, MOST_RECONNECT_MS)
        if kind == zmq.REQ:
            # A heartbeat may follow one that was never answered.
            socket.setsockopt(zmq.REQ_RELAXED, 1)
            socket.setsockopt(zmq.REQ_CORRELATE, 1)
            socket.setsockopt(zmq.SNDHWM, 1)
        try:
            socket.connect(address)
        except zmq.ZMQError as error:
            self.close()
            raise RtdecodeError(
                f"cannot be connected to: {error}", where=address, fix="check --host and --port"
            ) from None
        return socket

    def _send_heartbeat(self) -> None:
        now = time.monotonic()
        if now - self._beat_at_s >= HEARTBEAT_S:
            self._beat_at_s = now
            with contextlib.suppress(zmq.Again):
                self._heart.send(self._beat, zmq.NOBLOCK)

    def _check_format(self) -> None:
        stated_hz, channels = self._stream.rate_hz, self._stream.assembler.channels
        if stated_hz and stated_hz != self._settings.rate_hz:
            raise RtdecodeError(
                f"the plugin's stream has {stated_hz:g} Hz, but --rate is {self._settings.rate_hz:g}",
                where="--rate",
                fix=f"give --rate {stated_hz:g}",
            )
        if self._settings.continuous and self.continuous is None and channels is not None:
            labels = tuple(f"CH{channel + 1}" for channel in channels)
            self.continuous = ContinuousFormat(self._settings.rate_hz, "float32", labels, "microvolts")
