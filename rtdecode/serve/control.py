"""The control socket: one REP endpoint, msgpack or JSON, never a crash (DESIGN §10).

To a REQ client it is a REP socket. Underneath it is a ROUTER that writes the envelope itself:
libzmq's REP reports itself readable for a message without an envelope and then blocks in recv, so
one such peer would silence it for good (seen with libzmq 4.3.5).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import zmq

from rtdecode.errors import RtdecodeError
from rtdecode.messages import RequestError, decode_request, encode_reply
from rtdecode.serve.publisher import bind

MAX_REQUEST_BYTES = 1 << 20
POLL_MS = 50

#: The loop answers within one turn; more means it is busy catching up.
APPLY_TIMEOUT_S = 2.0

LOOP_COMMANDS = ("pause", "resume", "reset", "stop")
COMMANDS = ("status", *LOOP_COMMANDS)


class ControlServer:
    """A thread that answers control requests.

    Args:
        context: ZeroMQ's.
        endpoint: to bind.
        status: gives the status map.
        apply: hands a command to the loop and returns the first bin it applies to; None if the
            loop did not take it in time.

    Attributes:
        endpoint: what was bound.

    Raises:
        RtdecodeError: the endpoint cannot be bound.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        status: Callable[[], dict[str, Any]],
        apply: Callable[[str], int | None],
    ) -> None:
        self._socket = context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 100)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_REQUEST_BYTES)
        try:
            self.endpoint = bind(self._socket, "--control", endpoint)
        except RtdecodeError:
            self._socket.close()
            raise
        self._status, self._apply = status, apply
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="rtdecode-control", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer what is being answered, and close."""
        self._stopping = True
        if self._thread.is_alive():
            self._thread.join(1.0)
        else:
            self._socket.close()

    def _run(self) -> None:
        while not self._stopping:
            if self._socket.poll(POLL_MS):
                self._serve_one()
        self._socket.close()

    def _serve_one(self) -> None:
        try:
            frames = self._socket.recv_multipart(zmq.NOBLOCK)
            # [peer, *route, empty, *request]: without the empty frame nobody waits for a reply.
            if b"" in frames[1:]:
                split = frames.index(b"", 1) + 1
                self._socket.send_multipart([*frames[:split], self._answer(frames[split:])], zmq.NOBLOCK)
        except zmq.Again:
            # Nothing whole was there, or the peer no longer takes its reply.
            return

    def _answer(self, frames: list[bytes]) -> bytes:
        try:
            request, as_json = decode_request(frames)
        except RequestError as error:
            return encode_reply({"ok": False, "error": str(error)}, as_json=True)
        return encode_reply(self.reply(request), as_json=as_json)

    def reply(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request map."""
        command = request["cmd"]
        unknown = sorted(str(key) for key in request if key != "cmd")
        if command not in COMMANDS:
            return {"ok": False, "error": f"unknown cmd {command[:80]!r}; there are {', '.join(COMMANDS)}"}
        if unknown:
            return {"ok": False, "error": f"{command} takes no {unknown[0][:80]!r}"}
        if command == "status":
            return {"ok": True, **self._status()}
        first_bin = self._apply(command)
        if first_bin is None:
            return {"ok": False, "error": f"the loop did not take {command} within {APPLY_TIMEOUT_S:g} s"}
        return {"ok": True, "bin": first_bin}
