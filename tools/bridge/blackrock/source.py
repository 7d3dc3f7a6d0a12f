"""The socket on which a Blackrock device's datagrams arrive."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pylsl

from rtdecode.errors import RtdecodeError
from rtdecode.tools.bridge.blackrock.packets import HEADERS, request_settings
from rtdecode.tools.bridge.blackrock.stream import BlackrockStream
from rtdecode.tools.bridge.items import ContinuousFormat, Item, Tally

#: Wait between two attempts to open the socket, and between two requests to a device that is silent.
RETRY_S = 2.0

#: Time without a datagram from which the state says so, and the device is asked what it is.
SILENT_S = 2.0

#: Most bytes of a datagram, and most datagrams of a poll, so that what has arrived is sent on.
READ, MOST_READS = 1 << 16, 2000

#: Room for what arrives while the machine does something else; the system may grant less.
BUFFERED = 1 << 23


@dataclass(frozen=True, kw_only=True)
class BlackrockSettings:
    """Where the device is and what it sends.

    Attributes:
        host: of the device.
        port: of this machine, to which the device sends.
        control_port: of the device.
        channels: numbers of the array's channels at the device.
        protocol: that it speaks: 3.11, 4.0, or 4.1, which is also for later ones.
    """

    host: str
    port: int
    control_port: int
    channels: tuple[int, ...]
    protocol: str = "4.1"


class BlackrockSource:
    """Spikes of a device; see `Source` for its attributes and methods."""

    def __init__(self, settings: BlackrockSettings) -> None:
        self.n_channels: int | None = len(settings.channels)
        self.rate_hz: float | None = None
        self.continuous: ContinuousFormat | None = None
        self.tally = Tally()
        self._settings = settings
        self._stream = BlackrockStream(settings.channels, self.tally, settings.protocol)
        self._socket: socket.socket | None = None
        self._address = ""
        self._problem = ""
        self._ask_at_s, self._received_s = 0.0, -SILENT_S

    @property
    def state(self) -> str:
        """What the connection is doing."""
        settings = self._settings
        where = f"{settings.host}:{settings.control_port}"
        if self._problem:
            return f"waiting for {where} ({self._problem})"
        if self._is_silent():
            return f"waiting for {where} (it sends nothing to port {settings.port})"
        if not self.rate_hz:
            return f"receiving, but {where} has not said what it is; check --protocol"
        return "receiving"

    def poll(self, timeout_s: float) -> Sequence[tuple[float, Sequence[Item]]]:
        """Wait for datagrams, or try to open the socket; see `Source`.

        Raises:
            RtdecodeError: the device counts time in another unit than before.
        """
        try:
            if (self._socket is None or self._is_silent() or not self.rate_hz) and self._is_due():
                self._ask()
            if self._socket is None:
                time.sleep(timeout_s)
                return ()
            return self._read(self._socket, timeout_s)
        except OSError as error:
            self._problem = str(error)
            return ()

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _is_silent(self) -> bool:
        return time.monotonic() - self._received_s >= SILENT_S

    def _is_due(self) -> bool:
        now = time.monotonic()
        due = now >= self._ask_at_s
        if due:
            self._ask_at_s = now + RETRY_S
        return due

    def _ask(self) -> None:
        """Ask the device what it is, on a socket that is opened for it."""
        settings = self._settings
        self._address = socket.gethostbyname(settings.host)
        if self._socket is None:
            opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            # Devices send to all machines of their network, and to several programs on each.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFERED)
            try:
                opened.bind((self._address if self._address.startswith("127.") else "", settings.port))
            except OSError:
                opened.close()
                raise
            self._socket = opened
        request = request_settings(HEADERS[settings.protocol])
        self._socket.sendto(request, (self._address, settings.control_port))
        self._problem = ""

    def _read(self, opened: socket.socket, timeout_s: float) -> list[tuple[float, Sequence[Item]]]:
        """What has arrived; all is read before the first is parsed, so that parsing makes none of it late."""
        select.select((opened,), (), (), timeout_s)
        arrived: list[tuple[float, bytes]] = []
        while len(arrived) < MOST_READS:
            try:
                datagram, (address, _) = opened.recvfrom(READ, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            if address == self._address:
                arrived.append((pylsl.local_clock(), datagram))
            else:
                self.tally.garbled["datagram of another machine than --host"] += 1
        if arrived:
            self._received_s = time.monotonic()
        received: list[tuple[float, Sequence[Item]]] = [
            (arrival_s, self._stream.feed(datagram)) for arrival_s, datagram in arrived
        ]
        stated_hz = self._stream.rate_hz
        if self.rate_hz not in (None, stated_hz):
            raise RtdecodeError(
                f"is a device whose clock counts {stated_hz:,.0f} a second, not {self.rate_hz:,.0f}",
                where=self._settings.host,
                fix="start the bridge again, and its readers",
            )
        self.rate_hz = stated_hz
        return received
