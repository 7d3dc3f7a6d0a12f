"""The control clients: requests, replies, and the errors without a reply."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from rtdecode.client import AsyncControlClient, ControlClient, Status
from rtdecode.errors import RtdecodeError
from rtdecode.testing.fake_daemon import FakeControl, accept_all
from rtdecode.tools.loopback import free_endpoint

pytestmark = pytest.mark.realtime

Ask = Callable[..., Any]


def ask_blocking(endpoint: str, method: str, timeout_s: float, *given: Any, **fields: Any) -> Any:
    return getattr(ControlClient(endpoint, timeout_s=timeout_s), method)(*given, **fields)


def ask_async(endpoint: str, method: str, timeout_s: float, *given: Any, **fields: Any) -> Any:
    async def ask() -> Any:
        return await getattr(AsyncControlClient(endpoint, timeout_s=timeout_s), method)(*given, **fields)

    return asyncio.run(ask())


@pytest.fixture(params=[ask_blocking, ask_async], ids=["blocking", "asyncio"])
def ask(request: pytest.FixtureRequest) -> Ask:
    return request.param  # type: ignore[no-any-return]


def test_each_method_sends_the_command_of_its_name(ask: Ask) -> None:
    with FakeControl(accept_all) as control:
        status = ask(control.endpoint, "status", 20.0)
        assert isinstance(status, Status)
        assert (status.state, status.names, status.counters) == ("running", ["x", "y"], {"bins": 8})
        for method in ("pause", "resume", "reset", "stop"):
            assert ask(control.endpoint, method, 20.0) == 42
        assert control.requests == [{"cmd": m} for m in ("status", "pause", "resume", "reset", "stop")]


def test_any_request_can_be_sent(ask: Ask) -> None:
    with FakeControl(lambda request: {"ok": True, "received": request}) as fake:
        reply = ask(fake.endpoint, "request", 20.0, "swap", path="today.safetensors")
    assert reply == {"ok": True, "received": {"cmd": "swap", "path": "today.safetensors"}}


def test_a_swap_sends_the_absolute_path_and_waits_longer(ask: Ask) -> None:
    def slow(request: dict[str, Any]) -> dict[str, Any]:
        time.sleep(0.3)
        return {"ok": True, "bin": 42, "model": "aabbccdd"}

    with FakeControl(slow) as fake:
        for path in ("today.safetensors", Path("/a/b.safetensors")):
            assert ask(fake.endpoint, "swap", 0.1, path) == 42
        paths = [request["path"] for request in fake.requests]
    assert paths == [str(Path.cwd() / "today.safetensors"), "/a/b.safetensors"]


def test_a_refusal_is_one_line_with_the_reason(ask: Ask) -> None:
    with (
        FakeControl(lambda request: {"ok": False, "error": "the loop did not take\npause"}) as control,
        pytest.raises(RtdecodeError) as raised,
    ):
        ask(control.endpoint, "pause", 20.0)
    assert str(raised.value) == f"pause at {control.endpoint}: the loop did not take pause"


def test_a_missing_answer_is_one_line_with_the_fix(ask: Ask) -> None:
    endpoint = free_endpoint()
    with pytest.raises(RtdecodeError) as raised:
        ask(endpoint, "stop", 0.1)
    assert str(raised.value) == (
        f"{endpoint}: did not answer stop within 0.1 s. Fix: check that `rtdecode serve` runs and that this "
        "is its --control endpoint"
    )


@pytest.mark.parametrize(
    "reply",
    [b"", b"\xc1", b"hello", b"\x93\x01\x02\x03", {"ok": 1}, {"bin": 3}, b"\x91" * 100_000, {"ok": True}],
    ids=["empty", "never", "text", "list", "number", "no ok", "nested", "nothing else"],
)
@pytest.mark.parametrize("method", ["status", "pause"])
def test_an_answer_of_another_program_is_refused(
    ask: Ask, method: str, reply: dict[str, Any] | bytes
) -> None:
    with (
        FakeControl(lambda request: reply) as control,
        pytest.raises(RtdecodeError, match="is not from `rtdecode serve`"),
    ):
        ask(control.endpoint, method, 20.0)


def test_a_request_without_an_answer_does_not_affect_the_next() -> None:
    endpoint = free_endpoint()
    control = ControlClient(endpoint, timeout_s=0.1)
    for _ in range(3):
        with pytest.raises(RtdecodeError, match="did not answer stop"):
            control.stop()
    control = ControlClient(endpoint, timeout_s=1.0)
    silent = threading.Event()
    silent.set()
    with FakeControl(lambda request: None if silent.is_set() else accept_all(request), endpoint) as fake:
        with pytest.raises(RtdecodeError, match="did not answer pause within 1 s"):
            control.pause()
        silent.clear()
        assert control.resume() == 42
        # The later daemon never receives what was sent to the earlier one.
        assert fake.requests == [{"cmd": "pause"}, {"cmd": "resume"}]


def use(endpoint: str, work: Callable[[AsyncControlClient], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(40):
            await work(AsyncControlClient(endpoint, timeout_s=20.0))

    asyncio.run(run())


def test_tasks_may_share_a_client() -> None:
    async def work(control: AsyncControlClient) -> None:
        replies = await asyncio.gather(*(control.request("echo", number=k) for k in range(30)))
        assert [reply["number"] for reply in replies] == list(range(30))

    with FakeControl(lambda request: {"ok": True, "number": request["number"]}) as fake:
        use(fake.endpoint, work)


def test_a_cancelled_request_does_not_affect_the_next() -> None:
    async def work(control: AsyncControlClient) -> None:
        waiting = asyncio.create_task(control.request("never"))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await control.pause() == 42

    with FakeControl(lambda request: None if request["cmd"] == "never" else accept_all(request)) as fake:
        use(fake.endpoint, work)


@pytest.mark.parametrize("kind", [ControlClient, AsyncControlClient])
def test_invalid_arguments_are_refused(kind: type[ControlClient]) -> None:
    with pytest.raises(RtdecodeError, match="is not an endpoint"):
        kind("127.0.0.1:5557")
    for seconds in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(RtdecodeError, match=r"timeout_s is .*; it must be above 0 and at most 3600"):
            kind(timeout_s=seconds)
