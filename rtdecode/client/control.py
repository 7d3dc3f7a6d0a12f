"""The control client that blocks."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from rtdecode.client.checks import CONTROL_ENDPOINT
from rtdecode.client.exchange import REPLY_TIMEOUT_S, Exchange
from rtdecode.client.status import Status


class ControlClient:
    """Controls a running `rtdecode serve`.

        from rtdecode.client import ControlClient

        control = ControlClient("tcp://127.0.0.1:5557")
        print(control.status().state)
        held_from_bin = control.pause()
        control.resume()

    A request is sent once and never again by itself. Each has a connection of its own, so one that failed
    leaves nothing behind, the daemon may restart in between, and there is nothing to close.

    Args:
        endpoint: the daemon's `--control`, tcp://host:port or ipc://path.
        timeout_s: how long to wait for each reply.

    Raises:
        RtdecodeError: the endpoint is none, or the time-out is not above 0.
            Every request raises it too, in one line: nobody answers, or the daemon refuses.
    """

    def __init__(self, endpoint: str = CONTROL_ENDPOINT, *, timeout_s: float = REPLY_TIMEOUT_S) -> None:
        self._exchange = Exchange(endpoint, timeout_s)

    def request(self, cmd: str, **fields: Any) -> dict[str, Any]:
        """Send any request, such as `request("swap", path="today.safetensors")`; returns the reply's map."""
        return _request(self._exchange, cmd, fields)

    def swap(self, path: Path | str) -> int:
        """Let the model in this file decode; returns the first bin that it does.

        The path is the daemon's: a relative one starts in this process's folder. Loading and warming takes a
        moment, and the first model of its kind has to be compiled: this waits for a minute at least.
        """
        exchange = self._exchange.for_swaps()
        return exchange.first_bin("swap", _request(exchange, "swap", {"path": str(Path(path).absolute())}))

    def status(self) -> Status:
        """What the daemon says about itself now."""
        return self._exchange.status(self.request("status"))

    def pause(self) -> int:
        """Hold the output; returns the first bin that is held."""
        return self._exchange.first_bin("pause", self.request("pause"))

    def resume(self) -> int:
        """Decode again; returns the first bin that is."""
        return self._exchange.first_bin("resume", self.request("resume"))

    def reset(self) -> int:
        """Let the decoder forget the past; returns the first bin after it."""
        return self._exchange.first_bin("reset", self.request("reset"))

    def stop(self) -> int:
        """End the daemon as Ctrl-C does; returns the bin that no longer comes."""
        return self._exchange.first_bin("stop", self.request("stop"))


def _request(exchange: Exchange, cmd: str, fields: dict[str, Any]) -> dict[str, Any]:
    with exchange.sent(cmd, fields) as socket:
        if not socket.poll(math.ceil(exchange.timeout_s * 1000)):
            raise exchange.silence(cmd)
        data = socket.recv()
    return exchange.read(cmd, data)
