"""The control socket with malformed requests and peers."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import msgpack
import zmq

from rtdecode.tools.loopback import LoopbackRig

N_MALFORMED = 1000


def malformed(rng: random.Random) -> list[bytes]:
    """One malformed request."""
    kinds: list[list[bytes]] = [
        [b""],
        [rng.randbytes(rng.randrange(1, 200))],
        [b"{"],
        [b'{"cmd": 3}'],
        [b'{"cmd": "fly"}'],
        [b'["status"]'],
        [b'{"cmd": "pause", "for": 3}'],
        [msgpack.packb({"cmd": "status"})[:-1]],
        [msgpack.packb({"cmd": None})],
        [msgpack.packb([1, 2])],
        [msgpack.packb({1: 2})],
        [b"\xc1"],
        [b"{" * 5000],
        [b"\xff\xfe"],
        [b'{"cmd": "stat\xff"}'],
        [b"two", b"frames"],
    ]
    return rng.choice(kinds)


def test_the_control_socket_survives_whatever_it_receives_and_stops_the_daemon(
    rig: LoopbackRig, serve: Any, stream: str, simulated_model: Path
) -> None:
    served = serve(simulated_model)
    rng = random.Random(0)
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(served.control)
        for _ in range(N_MALFORMED):
            socket.send_multipart(malformed(rng))
            assert socket.poll(5000)
            data = socket.recv()
            reply = json.loads(data) if data[:1] == b"{" else msgpack.unpackb(data)
            assert reply["ok"] is False
            assert reply["error"]
        socket.send(msgpack.packb({"cmd": "status"}))
        assert msgpack.unpackb(socket.recv())["ok"] is True
        socket.send(json.dumps({"cmd": "status"}).encode())
        assert json.loads(socket.recv())["state"] == "waiting"
    # A peer that is no REP client.
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.connect(served.control)
        for _ in range(50):
            dealer.send(os.urandom(20))
            dealer.send_multipart([b"", os.urandom(2_000_000)])
            dealer.send_multipart([b"", b'{"cmd": "status"}'])
    assert served.request(cmd="status")["ok"]
    # Another daemon on its port.
    arguments = ["serve", "--stream", stream, "--model", str(simulated_model), "--bind", served.cursor]
    assert rig.start("second", arguments).wait(30) == 1
    assert rig.stderr("second").count("\n") == 1
    assert "in use" in rig.stderr("second")
    assert served.request(cmd="stop")["ok"]
    assert served.process.wait(10) == 0
