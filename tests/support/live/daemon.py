"""Shared by the integration tests: a served daemon, a plain subscriber, pieces of sessions."""

from __future__ import annotations

import json
import subprocess
import time
import weakref
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgpack
import zmq

from rtdecode.session.layout import Session
from rtdecode.tools.loopback import LoopbackRig, free_endpoint

READY_S = 60.0


def cut(session: Session, start_s: float, stop_s: float) -> Session:
    """A piece of a session of counts."""
    assert session.counts is not None
    assert session.behavior is not None
    width = session.counts.bin_width_s
    first, last = round(start_s / width), round(stop_s / width)
    kept = (session.behavior.time > start_s) & (session.behavior.time <= stop_s)
    return replace(
        session,
        counts=replace(
            session.counts,
            values=session.counts.values[first:last],
            t0_s=session.counts.t0_s + first * width,
        ),
        behavior=replace(
            session.behavior, time=session.behavior.time[kept], values=session.behavior.values[kept]
        ),
        trials=None,
    )


@dataclass
class Subscriber:
    """A subscriber that uses only pyzmq and msgpack."""

    endpoint: str
    messages: list[dict[str, Any]] = field(default_factory=list)
    scanned: int = 0

    def __post_init__(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = context.socket(zmq.SUB)
        # After a failed test the collector frees it, and a context that is freed before its socket waits for
        # the socket for ever.
        self._release = weakref.finalize(self, _release, context, self.socket)
        self.socket.setsockopt(zmq.SUBSCRIBE, b"cursor")
        self.socket.connect(self.endpoint)

    def take(self, wait_ms: int = 0) -> list[dict[str, Any]]:
        """Messages since the last call."""
        new = []
        while self.socket.poll(wait_ms):
            topic, payload = self.socket.recv_multipart()
            assert topic == b"cursor"
            new.append(msgpack.unpackb(payload))
            wait_ms = 0
        self.messages += new
        return new

    def until(self, condition: Any, within_s: float = READY_S) -> dict[str, Any]:
        """The next message for which `condition` is true, from where the last call ended."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            while self.scanned < len(self.messages):
                message = self.messages[self.scanned]
                self.scanned += 1
                if condition(message):
                    return message
            self.take(100)
        raise AssertionError(f"no such message within {within_s} s; last {self.messages[-3:]}")

    def close(self) -> None:
        self._release()


def _release(context: zmq.Context[zmq.Socket[bytes]], socket: zmq.Socket[bytes]) -> None:
    socket.close(linger=0)
    context.term()


class Served:
    """`rtdecode serve` in a process, a subscriber on it and a control socket."""

    def __init__(
        self, rig: LoopbackRig, stream: str, model: Path, *arguments: str, name: str = "serve"
    ) -> None:
        self.rig, self.name = rig, name
        self.cursor, self.control = free_endpoint(), free_endpoint()
        self.subscriber = Subscriber(self.cursor)
        given = ["serve", "--stream", stream, "--model", str(model), "--bind", self.cursor]
        given += ["--control", self.control, "--timeout", str(READY_S), *arguments]
        self._given = given
        self.start()

    def start(self) -> None:
        """Start the daemon; after a kill, another one with the same arguments."""
        self.process: subprocess.Popen[str] = self.rig.start(self.name, self._given)
        self.rig.await_line(self.name, "cursor on", READY_S)

    def request(self, **message: Any) -> dict[str, Any]:
        """One control request in JSON, on a new socket."""
        with zmq.Context() as context, context.socket(zmq.REQ) as socket:
            socket.setsockopt(zmq.LINGER, 0)
            socket.connect(self.control)
            socket.send(json.dumps(message).encode())
            assert socket.poll(5000), "no reply from the control socket"
            reply: dict[str, Any] = json.loads(socket.recv())
            return reply

    def counters(self) -> dict[str, int]:
        reply = self.request(cmd="status")
        assert reply["ok"]
        found: dict[str, int] = reply["counters"]
        return found

    def end(self) -> None:
        """Send SIGINT; it must exit with status 0."""
        self.rig.end(self.name)
        self.subscriber.take()
        self.subscriber.close()


def assert_once_in_order(messages: list[dict[str, Any]]) -> None:
    bins = [message["bin"] for message in messages]
    assert bins == list(range(bins[0], bins[0] + len(bins)))
    seqs = [message["seq"] for message in messages]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    ends = [message["t_bin"] for message in messages]
    assert ends == sorted(set(ends))
