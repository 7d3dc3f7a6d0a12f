"""The control clients, blocking and for asyncio."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from rtdecode.client.exchange import REPLY_TIMEOUT_S, Exchange
from rtdecode.client.readable import Readable
from rtdecode.client.status import Status
from rtdecode.messages import CONTROL_ENDPOINT


class ControlClient:
    """Controls a running `rtdecode serve`.

        from rtdecode.client import ControlClient

        control = ControlClient("tcp://127.0.0.1:5557")
        print(control.status().state)
        held_from_bin = control.pause()
        control.resume()

    A request is sent once and never repeated. Each has a connection of its own, so a failed one does not
    affect the next, the daemon may restart in between, and there is nothing to close.

    Args:
        endpoint: the daemon's `--control`, tcp://host:port or ipc://path.
        timeout_s: how long to wait for each reply.

    Raises:
        RtdecodeError: an invalid endpoint, or a time-out that is not above 0. Every request raises it too:
            no answer in time, or the daemon refuses.
    """

    def __init__(self, endpoint: str = CONTROL_ENDPOINT, *, timeout_s: float = REPLY_TIMEOUT_S) -> None:
        self._exchange = Exchange(endpoint, timeout_s)

    def request(self, cmd: str, **fields: Any) -> dict[str, Any]:
        """Send any request, such as `request("swap", path="today.safetensors")`; returns the reply's map."""
        return _request(self._exchange, cmd, fields)

    def swap(self, path: Path | str) -> int:
        """Swap in the model in this file; returns the first bin it decodes.

        The daemon opens the path; a relative one starts in this process's folder. Loading and warming up
        takes a moment, and the first model of a kind is compiled: this waits for a minute at least.
        """
        exchange = self._exchange.for_swaps()
        return exchange.first_bin("swap", _request(exchange, "swap", {"path": str(Path(path).absolute())}))

    def status(self) -> Status:
        """The daemon's status now."""
        return self._exchange.status(self.request("status"))

    def pause(self) -> int:
        """Hold the output; returns the first held bin."""
        return self._exchange.first_bin("pause", self.request("pause"))

    def resume(self) -> int:
        """Decode again; returns the first decoded bin."""
        return self._exchange.first_bin("resume", self.request("resume"))

    def reset(self) -> int:
        """Reset the decoder's state; returns the first bin after it."""
        return self._exchange.first_bin("reset", self.request("reset"))

    def stop(self) -> int:
        """Stop the daemon as Ctrl-C does; returns the first bin that is not decoded."""
        return self._exchange.first_bin("stop", self.request("stop"))


def _request(exchange: Exchange, cmd: str, fields: dict[str, Any]) -> dict[str, Any]:
    with exchange.sent(cmd, fields) as socket:
        if not socket.poll(math.ceil(exchange.timeout_s * 1000)):
            raise exchange.silence(cmd)
        data = socket.recv()
    return exchange.read(cmd, data)


class AsyncControlClient:
    """Controls a running `rtdecode serve` from asyncio.

        import asyncio

        from rtdecode.client import AsyncControlClient

        async def hold_for_a_moment() -> None:
            control = AsyncControlClient("tcp://127.0.0.1:5557")
            await control.pause()
            await asyncio.sleep(0.1)
            await control.resume()

        asyncio.run(hold_for_a_moment())

    The same as `ControlClient`, arguments and errors included, with `await`. Several tasks may use one client
    at once. A request that is cancelled may or may not have reached the daemon.
    """

    def __init__(self, endpoint: str = CONTROL_ENDPOINT, *, timeout_s: float = REPLY_TIMEOUT_S) -> None:
        self._exchange = Exchange(endpoint, timeout_s)

    async def request(self, cmd: str, **fields: Any) -> dict[str, Any]:
        """Send any request, such as `request("swap", path="today.safetensors")`; returns the reply's map."""
        return await _request_async(self._exchange, cmd, fields)

    async def swap(self, path: Path | str) -> int:
        """Swap in the model in this file; returns the first bin it decodes. See `ControlClient.swap`."""
        exchange = self._exchange.for_swaps()
        # No file is opened here: the path is only made absolute.
        reply = await _request_async(exchange, "swap", {"path": str(Path(path).absolute())})
        return exchange.first_bin("swap", reply)

    async def status(self) -> Status:
        """The daemon's status now."""
        return self._exchange.status(await self.request("status"))

    async def pause(self) -> int:
        """Hold the output; returns the first held bin."""
        return self._exchange.first_bin("pause", await self.request("pause"))

    async def resume(self) -> int:
        """Decode again; returns the first decoded bin."""
        return self._exchange.first_bin("resume", await self.request("resume"))

    async def reset(self) -> int:
        """Reset the decoder's state; returns the first bin after it."""
        return self._exchange.first_bin("reset", await self.request("reset"))

    async def stop(self) -> int:
        """Stop the daemon as Ctrl-C does; returns the first bin that is not decoded."""
        return self._exchange.first_bin("stop", await self.request("stop"))


async def _request_async(exchange: Exchange, cmd: str, fields: dict[str, Any]) -> dict[str, Any]:
    with exchange.sent(cmd, fields) as socket:
        readable = Readable(socket)
        end_s = time.monotonic() + exchange.timeout_s
        while not socket.poll(0):
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                raise exchange.silence(cmd)
            await readable.wait(left_s)
        data = socket.recv()
    return exchange.read(cmd, data)
