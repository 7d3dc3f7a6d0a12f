"""The control socket answers every request with `ok`, and refuses unknown commands and keys."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtdecode.endpoints import check_bind
from rtdecode.errors import RtdecodeError
from rtdecode.serve.control import COMMANDS, LOOP_COMMANDS, ControlServer

STATUS = {"state": "running", "bin": 42, "nan": None}


class Loop:
    """Replaces the loop: records the commands it receives."""

    def __init__(self) -> None:
        self.applied: list[str] = []
        self.first_bin: int | None = 7
        self.loading = threading.Event()
        self.loading.set()

    def apply(self, name: str) -> int | None:
        self.applied.append(name)
        return self.first_bin

    def swap(self, path: str) -> tuple[int, str]:
        """Blocks until `loading` is set; some paths fail."""
        self.loading.wait(20.0)
        self.applied.append(f"swap {path}")
        if path == "bad.safetensors":
            raise RtdecodeError("is no model", where=path, fix="name one")
        return 9, "aabbccdd"


@pytest.fixture(scope="module")
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    with zmq.Context() as context:
        yield context


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def server(context: zmq.Context[zmq.Socket[bytes]], loop: Loop) -> Iterator[ControlServer]:
    server = ControlServer(context, "tcp://127.0.0.1:*", lambda: dict(STATUS), loop.apply, loop.swap)
    yield server
    server.stop()


@pytest.fixture
def client(context: zmq.Context[zmq.Socket[bytes]], server: ControlServer) -> Iterator[zmq.Socket[bytes]]:
    server.start()
    with context.socket(zmq.REQ) as client:
        client.setsockopt(zmq.RCVTIMEO, 20_000)
        client.setsockopt(zmq.LINGER, 0)
        client.connect(server.endpoint)
        yield client


@pytest.mark.parametrize("command", LOOP_COMMANDS)
def test_commands_are_passed_to_the_loop(command: str, server: ControlServer, loop: Loop) -> None:
    assert server.reply({"cmd": command}) == {"ok": True, "bin": 7}
    assert loop.applied == [command]


def test_a_loop_that_does_not_answer_is_an_error_and_bin_0_an_answer(
    server: ControlServer, loop: Loop
) -> None:
    loop.first_bin = None
    assert "did not carry out pause" in refusal(server, {"cmd": "pause"})
    loop.first_bin = 0
    assert server.reply({"cmd": "reset"}) == {"ok": True, "bin": 0}


def refusal(server: ControlServer, request: dict[Any, Any]) -> str:
    reply = server.reply(request)
    assert reply["ok"] is False
    assert len(reply["error"]) < 300
    return str(reply["error"])


@pytest.mark.parametrize("command", ["", "Status", "status ", "quit", "\ud800", "x" * 10_000])
def test_an_unknown_command_is_refused_with_a_list_of_the_valid_ones(
    command: str, server: ControlServer, loop: Loop
) -> None:
    error = refusal(server, {"cmd": command})
    assert "unknown cmd" in error
    assert all(name in error for name in COMMANDS)
    assert loop.applied == []
    json.dumps(error)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("key", ["bins", "Cmd", 3, b"x", (1, 2), "y" * 10_000])
def test_an_unknown_key_is_refused(command: str, key: Any, server: ControlServer, loop: Loop) -> None:
    assert f"{command} takes no " in refusal(server, {"cmd": command, key: 1, "zzz": 2})
    assert loop.applied == []


def test_an_endpoint_in_use_is_refused(
    context: zmq.Context[zmq.Socket[bytes]], server: ControlServer
) -> None:
    with pytest.raises(RtdecodeError, match=r"--control: .* is in use.*another port"):
        ControlServer(context, server.endpoint, dict, lambda name: 0, lambda path: (0, ""))


def test_an_address_of_another_machine_is_refused(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    with pytest.raises(RtdecodeError, match=r"--control: .* cannot be bound"):
        ControlServer(context, "tcp://192.0.2.1:5557", dict, lambda name: 0, lambda path: (0, ""))


def test_the_ipv6_loopback_that_settings_allow_can_be_bound(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    check_bind("tcp://[::1]:5557", "--control", insecure=False)
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    server = ControlServer(context, "tcp://[::1]:*", dict, lambda name: 0, lambda path: (0, ""))
    assert server.endpoint.startswith("tcp://[::1]:")
    server.stop()


@pytest.mark.parametrize("request_", [{}, {"path": 3}, {"path": None}, {"path": ["a"]}])
def test_the_refusal_of_a_swap_without_a_path_gives_an_example(
    request_: dict[str, Any], server: ControlServer, loop: Loop
) -> None:
    assert "swap takes the file of a model" in refusal(server, {"cmd": "swap", **request_})
    assert loop.applied == []


def test_a_swap_is_answered_in_the_encoding_of_the_request(client: zmq.Socket[bytes], loop: Loop) -> None:
    client.send(json.dumps({"cmd": "swap", "path": "today.safetensors"}).encode())
    assert json.loads(client.recv()) == {"ok": True, "bin": 9, "model": "aabbccdd"}
    client.send(msgpack.packb({"cmd": "swap", "path": "today.safetensors"}))
    assert msgpack.unpackb(client.recv()) == {"ok": True, "bin": 9, "model": "aabbccdd"}
    assert loop.applied == ["swap today.safetensors"] * 2


def test_a_failed_swap_returns_the_reason(client: zmq.Socket[bytes]) -> None:
    client.send(b'{"cmd": "swap", "path": "bad.safetensors"}')
    reply = json.loads(client.recv())
    assert reply["ok"] is False
    assert "bad.safetensors: is no model" in reply["error"]
    client.send(b'{"cmd": "pause"}')
    assert json.loads(client.recv()) == {"ok": True, "bin": 7}


def test_a_pause_does_not_wait_for_a_model_that_is_loading(
    context: zmq.Context[zmq.Socket[bytes]], client: zmq.Socket[bytes], server: ControlServer, loop: Loop
) -> None:
    loop.loading.clear()
    with context.socket(zmq.REQ) as other:
        other.setsockopt(zmq.LINGER, 0)
        other.setsockopt(zmq.RCVTIMEO, 20_000)
        other.connect(server.endpoint)
        other.send(b'{"cmd": "swap", "path": "today.safetensors"}')
        client.send(b'{"cmd": "pause"}')
        assert json.loads(client.recv()) == {"ok": True, "bin": 7}
        assert loop.applied == ["pause"]
        loop.loading.set()
        assert json.loads(other.recv())["model"] == "aabbccdd"


def test_replies_have_the_encoding_of_the_request(client: zmq.Socket[bytes]) -> None:
    client.send(json.dumps({"cmd": "status"}).encode())
    assert json.loads(client.recv()) == {"ok": True, **STATUS}
    client.send(msgpack.packb({"cmd": "pause"}))
    assert msgpack.unpackb(client.recv()) == {"ok": True, "bin": 7}
    client.send(msgpack.packb({"cmd": "fly"}))
    assert msgpack.unpackb(client.recv())["ok"] is False


@pytest.mark.parametrize(
    "frames",
    [
        *([b""], [b"\xc1"], [b"{"], [b"a", b"b"], [b"", b""], [b'{"cmd": "status"}', b""], [b"[" * 99_999]),
        *([b'{"cmd": 3}'], [b'["status"]'], [b"\xff\xfe"], [b'{"cmd": "stat\xff"}']),
        *([msgpack.packb({"cmd": "status"})[:-1]], [msgpack.packb([1, 2])], [msgpack.packb({1: 2})]),
    ],
)
def test_an_unreadable_request_is_answered_in_json(frames: list[bytes], client: zmq.Socket[bytes]) -> None:
    client.send_multipart(frames)
    reply = json.loads(client.recv())
    assert reply["ok"] is False
    assert reply["error"]
    client.send(b'{"cmd": "status"}')
    assert json.loads(client.recv())["ok"] is True


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=st.lists(st.binary(max_size=40), min_size=1, max_size=3))
def test_every_request_is_answered(frames: list[bytes], client: zmq.Socket[bytes]) -> None:
    client.send_multipart(frames)
    reply = client.recv()
    assert isinstance((json.loads(reply) if reply[:1] == b"{" else msgpack.unpackb(reply))["ok"], bool)


def test_large_requests_and_those_without_an_envelope_block_nobody(
    context: zmq.Context[zmq.Socket[bytes]], client: zmq.Socket[bytes], server: ControlServer
) -> None:
    with context.socket(zmq.REQ) as flood, context.socket(zmq.DEALER) as rude:
        for peer in (flood, rude):
            peer.setsockopt(zmq.LINGER, 0)
            peer.connect(server.endpoint)
        flood.send(b" " * (2 << 20))
        for frames in ([b"hello"], [b"a", b"b", b"c"], [b""], [b"x", b""]):
            rude.send_multipart(frames)
        client.send(b'{"cmd": "status"}')
        assert json.loads(client.recv())["ok"] is True
        # A proper envelope from the same peer is answered.
        rude.setsockopt(zmq.RCVTIMEO, 20_000)
        rude.send_multipart([b"", b'{"cmd": "stop"}'])
        while (frames := rude.recv_multipart())[0] != b"" or json.loads(frames[1]) != {"ok": True, "bin": 7}:
            continue
