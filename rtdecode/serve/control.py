"""The control socket: one REP endpoint, msgpack or JSON (docs/messages.md).

To a REQ client it is a REP socket. In fact it is a ROUTER that writes the envelope itself:
libzmq's REP reports itself readable for a message without an envelope and then blocks in recv, so
one such peer would block it for good (seen with libzmq 4.3.5).
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any

import zmq

from rtdecode.helper_thread import HelperThread
from rtdecode.messages import RequestError, decode_request, encode_reply
from rtdecode.serve.commands import APPLY_TIMEOUT_S
from rtdecode.serve.publisher import bind

MAX_REQUEST_BYTES = 1 << 20
POLL_MS = 50

#: While a swap is in progress its reply is polled more often.
SWAPPING_POLL_MS = 5

LOOP_COMMANDS = ("pause", "resume", "reset", "stop")
COMMANDS = ("status", "swap", *LOOP_COMMANDS)


class ControlServer:
    """A thread that answers control requests.

    Args:
        context: of ZeroMQ.
        endpoint: to bind.
        status: returns the status map.
        apply: gives a command to the loop and returns the first bin it applies to; None if the
            loop did not carry it out in time.
        swap: lets the model at a path decode; returns the first bin that it does, and its id.

    Attributes:
        endpoint: that was bound.
        thread: that answers.

    Raises:
        RtdecodeError: the endpoint cannot be bound.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        status: Callable[[], dict[str, Any]],
        apply: Callable[[str], int | None],
        swap: Callable[[str], tuple[int, str]],
    ) -> None:
        self._socket = context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 100)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_REQUEST_BYTES)
        self.endpoint = bind(self._socket, "--control", endpoint)
        self._status, self._apply, self._swap = status, apply, swap
        self._stopping = False
        self._swapping = 0
        self._swapped: queue.SimpleQueue[list[bytes]] = queue.SimpleQueue()
        self.thread = HelperThread("control", self._run)

    def start(self) -> None:
        """Start to answer."""
        self.thread.start()

    def stop(self) -> None:
        """Finish the current answer, and close."""
        self._stopping = True
        if self.thread.join(1.0):
            self._socket.close()

    def _run(self) -> None:
        while not self._stopping:
            if self._socket.poll(SWAPPING_POLL_MS if self._swapping else POLL_MS):
                self._serve_one()
            self._send_swapped()

    def _serve_one(self) -> None:
        try:
            frames = self._socket.recv_multipart(zmq.NOBLOCK)
            # [peer, *route, empty, *request]: without the empty frame nobody expects a reply.
            if b"" in frames[1:]:
                split = frames.index(b"", 1) + 1
                self._answer(frames[:split], frames[split:])
        except zmq.Again:
            # There was no whole message, or the peer no longer takes its reply.
            return

    def _answer(self, envelope: list[bytes], frames: list[bytes]) -> None:
        try:
            request, as_json = decode_request(frames)
        except RequestError as error:
            reply, as_json = _refusal(str(error)), True
        else:
            if request["cmd"] == "swap" and isinstance(request.get("path"), str) and len(request) == 2:
                self._begin_swap(envelope, request["path"], as_json)
                return
            reply = self.reply(request)
        self._socket.send_multipart([*envelope, encode_reply(reply, as_json=as_json)], zmq.NOBLOCK)

    def _begin_swap(self, envelope: list[bytes], path: str, as_json: bool) -> None:
        """Swap on another thread: `pause` must not wait until a model is loaded."""

        def swap() -> None:
            try:
                first_bin, model = self._swap(path)
                reply = {"ok": True, "bin": first_bin, "model": model}
            except Exception as error:  # noqa: BLE001 - without a reply the request waits for ever
                reply = _refusal(str(error))
            self._swapped.put([*envelope, encode_reply(reply, as_json=as_json)])

        self._swapping += 1
        threading.Thread(target=swap, name="rtdecode-swap", daemon=True).start()

    def _send_swapped(self) -> None:
        while not self._swapped.empty():
            self._swapping -= 1
            with contextlib.suppress(zmq.Again):
                self._socket.send_multipart(self._swapped.get(), zmq.NOBLOCK)

    def reply(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply to a request map other than a valid `swap`."""
        command = request["cmd"]
        if command not in COMMANDS:
            return _refusal(f"unknown cmd {command[:80]!r}; must be one of {', '.join(COMMANDS)}")
        takes = {"cmd", "path"} if command == "swap" else {"cmd"}
        unknown = sorted(str(key) for key in request if key not in takes)
        if unknown:
            return _refusal(f"{command} takes no {unknown[0][:80]!r}")
        if command == "swap":
            return _refusal('swap takes the file of a model: {"cmd": "swap", "path": "/a/b.safetensors"}')
        if command == "status":
            return {"ok": True, **self._status()}
        first_bin = self._apply(command)
        if first_bin is None:
            return _refusal(f"the loop did not carry out {command} within {APPLY_TIMEOUT_S:g} s")
        return {"ok": True, "bin": first_bin}


def _refusal(error: str) -> dict[str, Any]:
    return {"ok": False, "error": error}
