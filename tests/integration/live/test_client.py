"""`rtdecode.client` on a real daemon: the same values, and the whole life of a link."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rtdecode.client import AsyncControlClient, AsyncCursorClient, ControlClient, Cursor, CursorClient, Link
from rtdecode.errors import RtdecodeError
from rtdecode.tools.loopback import LoopbackRig

N_CURSORS = 60
LONG_S = 60.0


def until(client: CursorClient, condition: Callable[[], bool]) -> None:
    """Read every frame, as a game does, until a condition is met."""
    deadline = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline, (client.link, client.newest, client.status)
        client.latest()
        time.sleep(1 / 60)


def follow_blocking(endpoint: str) -> list[Cursor]:
    with CursorClient(endpoint) as client:
        cursors = [cursor for _, cursor in zip(range(N_CURSORS), client, strict=False)]
        assert (client.link, client.missed, client.skipped) == (Link.LIVE, 0, 0)
    return cursors


def follow_async(endpoint: str) -> list[Cursor]:
    async def follow() -> list[Cursor]:
        cursors = []
        async with AsyncCursorClient(endpoint) as client, asyncio.timeout(LONG_S):
            async for cursor in client:
                cursors.append(cursor)
                if len(cursors) == N_CURSORS:
                    break
            assert (client.link, client.missed, client.skipped) == (Link.LIVE, 0, 0)
        return cursors

    return asyncio.run(follow())


def test_the_clients_return_the_published_values(
    serve: Any, replay: Any, simulated_session: Path, simulated_model: Path
) -> None:
    replay(simulated_session, "--loop")
    served = serve(simulated_model)
    served.subscriber.until(lambda m: m["flags"] == 0)
    for follow in (follow_blocking, follow_async):
        cursors = follow(served.cursor)
        served.subscriber.until(lambda m, last=cursors[-1].seq: m["seq"] == last)
        published = {m["seq"]: m for m in served.subscriber.messages}
        assert [cursor.seq for cursor in cursors] == list(range(cursors[0].seq, cursors[0].seq + N_CURSORS))
        assert [msgspec.to_builtins(cursor) for cursor in cursors] == [published[c.seq] for c in cursors]
        assert len({tuple(cursor.value) for cursor in cursors}) > N_CURSORS / 2
    # Without an output stage there is no `out`.
    status = served.request(cmd="status")
    served.end()
    assert all("out" not in m for m in served.subscriber.messages)
    assert (status["out"], status["lsl_out"]) == (None, None)


def test_the_life_of_a_link(
    rig: LoopbackRig, serve: Any, replay: Any, simulated_session: Path, simulated_model: Path
) -> None:
    replay(simulated_session, "--loop")
    served = serve(simulated_model)
    control = ControlClient(served.control)
    with CursorClient(served.cursor) as client:
        assert client.link is Link.WAITING
        until(client, lambda: client.link is Link.LIVE and client.status is not None)
        assert client.named(client.newest) == dict(
            zip(control.status().names, client.newest.value, strict=True)
        )
        first_held = control.pause()
        until(client, lambda: client.link is Link.HELD)
        assert client.newest.bin >= first_held
        assert control.status().paused
        control.resume()
        until(client, lambda: client.link is Link.LIVE)
        assert control.reset() > first_held
        rig.kill("replay")
        until(client, lambda: client.link is Link.HELD and client.status.state == "reconnecting")
        replay(simulated_session, "--loop")
        until(client, lambda: client.link is Link.LIVE)
        assert (client.restarts, client.malformed) == (0, 0)

        rig.kill(served.name)
        until(client, lambda: client.link is Link.LOST)
        assert client.stale
        with pytest.raises(RtdecodeError, match=r"did not answer status within 0\.2 s"):
            ControlClient(served.control, timeout_s=0.2).status()
        served.start()
        until(client, lambda: client.link is Link.LIVE)
        assert (client.restarts, client.malformed) == (1, 0)
        assert control.stop() > 0


def test_the_life_of_a_link_in_asyncio(
    rig: LoopbackRig, serve: Any, replay: Any, simulated_session: Path, simulated_model: Path
) -> None:
    replay(simulated_session, "--loop")
    served = serve(simulated_model)

    async def live() -> None:
        control = AsyncControlClient(served.control)
        async with AsyncCursorClient(served.cursor) as client, asyncio.timeout(3 * LONG_S):
            while client.link is not Link.LIVE:
                await client.receive()
            first_held = await control.pause()
            while (await client.receive()).bin < first_held:
                assert client.link is Link.LIVE
            assert client.link is Link.HELD
            assert (await control.status()).paused
            await control.resume()
            while client.link is not Link.LIVE:
                await client.receive()
            rig.kill(served.name)
            while await client.receive(0.1) is not None or client.link is not Link.LOST:
                continue
            await asyncio.to_thread(served.start)
            while client.link is not Link.LIVE:
                await client.receive()
            assert (client.restarts, client.malformed) == (1, 0)
            status = await control.status()
            assert status.state == "running"
            await control.stop()

    asyncio.run(live())
