"""The cursor clients against a publisher, its failures and its restarts."""

from __future__ import annotations

import asyncio
import gc
import math
import random
import selectors
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator
from itertools import pairwise
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest

from rtdecode.client import AsyncCursorClient, Cursor, CursorClient, Link, Status
from rtdecode.errors import RtdecodeError
from rtdecode.testing.fake_daemon import FakePublisher, cursor_map
from rtdecode.tools.loopback import free_endpoint

pytestmark = pytest.mark.realtime

#: The limit of waits that end earlier unless something is broken.
LONG_S = 20.0


@pytest.fixture
def publisher() -> Iterator[FakePublisher]:
    with FakePublisher() as publisher:
        yield publisher


class Awaited:
    """An AsyncCursorClient with the calls of a CursorClient; each runs the event loop to its end."""

    def __init__(self, endpoint: str) -> None:
        self._runner, self._client = asyncio.Runner(), AsyncCursorClient(endpoint)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def __enter__(self) -> Awaited:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._runner.close()

    def __iter__(self) -> Iterator[Any]:
        while True:
            yield self._runner.run(self._client.__anext__())

    def receive(self, timeout_s: float | None = None) -> Any:
        return self._runner.run(self._client.receive(timeout_s))


@pytest.fixture(params=[CursorClient, Awaited], ids=["blocking", "asyncio"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def client(publisher: FakePublisher, kind: type[CursorClient]) -> Iterator[CursorClient]:
    with kind(publisher.endpoint) as client:
        publisher.await_subscriber()
        yield client


def received(client: CursorClient) -> Cursor:
    """The next cursor."""
    cursor = client.receive(LONG_S)
    assert cursor is not None
    return cursor


def read_until(client: CursorClient, reached: Callable[[], Any]) -> None:
    """Let the client read until a condition is met."""
    deadline = time.monotonic() + LONG_S
    while not reached():
        assert time.monotonic() < deadline
        client.latest()
        time.sleep(0.001)


def test_cursors_are_typed_and_in_order(publisher: FakePublisher, client: CursorClient) -> None:
    assert client.link is Link.WAITING
    assert client.receive(timeout_s=0) is None
    assert client.receive(timeout_s=0.01) is None
    for seq in range(20):
        publisher.cursor(seq, value=[seq / 2, -1.0])
    cursors = [received(client) for _ in range(10)]
    cursors += [cursor for _, cursor in zip(range(10), client, strict=False)]
    assert [(c.seq, c.value) for c in cursors] == [(seq, [seq / 2, -1.0]) for seq in range(20)]
    assert (client.link, client.stale, client.missed, client.skipped) == (Link.LIVE, False, 0, 0)
    assert client.receive(0.01) is None
    assert 0.0 <= client.age_s < math.inf


def test_latest_is_the_newest_cursor_once(publisher: FakePublisher, client: CursorClient) -> None:
    assert client.latest() is None
    for seq in range(20):
        publisher.cursor(seq)
    publisher.status()
    read_until(client, lambda: client.status is not None)
    assert client.newest is not None
    assert client.newest.seq == 19
    assert client.latest() is None
    publisher.cursor(20)
    assert client._socket.poll(LONG_S * 1000)
    newest = client.latest()
    assert newest is not None
    assert newest.seq == 20
    assert client.latest() is None
    assert client.missed == 0


def test_a_status_does_not_interrupt_the_cursors(publisher: FakePublisher, client: CursorClient) -> None:
    publisher.cursor(0)
    first = received(client)
    assert client.status is None
    assert client.named(first) is None
    publisher.status(warnings=["NOT RECORDING: disk full"], later={"key": 1})
    publisher.cursor(1, model="99999999")
    publisher.cursor(2)
    other, cursor = received(client), received(client)
    assert (other.seq, cursor.seq) == (1, 2)
    assert isinstance(client.status, Status)
    assert client.status.warnings == ["NOT RECORDING: disk full"]
    assert client.named(cursor) == {"x": 1.5, "y": -2.5}
    # The names belong to the model of the status, this cursor to another.
    assert client.named(other) is None


def test_foreign_messages_and_later_versions_are_counted_and_skipped(
    publisher: FakePublisher, client: CursorClient
) -> None:
    rng = random.Random(0)
    publisher.cursor(0)
    publisher.send(b"cursor")
    publisher.send(b"cursor", b"", b"")
    publisher.send(b"cursor-of-someone-else", b"x=1")
    publisher.send(b"cursor", msgpack.packb({**cursor_map(1), "v": 2}))
    for _ in range(100):
        publisher.send(b"cursor", b"\xc1" + rng.randbytes(rng.randrange(300)))
        publisher.send(b"status", b"\xc1" + rng.randbytes(rng.randrange(300)))
    publisher.send(b"status", b"\xc1")
    publisher.cursor(1, confidence=0.5)
    assert [received(client).seq for _ in range(2)] == [0, 1]
    assert client.malformed == 205
    assert "not a status message" in client.problem
    assert (client.missed, client.restarts, client.link) == (0, 0, Link.LIVE)


def test_a_daemon_that_starts_late_and_restarts_is_followed(kind: type[CursorClient]) -> None:
    endpoint = free_endpoint()
    with kind(endpoint) as client:
        assert client.receive(0.05) is None
        with FakePublisher(endpoint) as publisher:
            publisher.await_subscriber()
            for seq in (5, 6, 9):
                publisher.cursor(seq)
            assert [received(client).seq for _ in range(3)] == [5, 6, 9]
        read_until(client, lambda: client.link is Link.LOST)
        assert client.stale
        assert client.receive(0.01) is None
        with FakePublisher(endpoint) as publisher:
            publisher.await_subscriber()
            publisher.cursor(0, t_pub=7.0)
            assert (received(client).seq, client.link) == (0, Link.LIVE)
        assert (client.restarts, client.missed) == (1, 2)


def test_old_cursors_are_not_returned(publisher: FakePublisher, client: CursorClient) -> None:
    # The reader is busy for more than half a second.
    publisher.play(60, awaited=False).await_end()
    cursors = [received(client)]
    while (cursor := client.receive(0)) is not None:
        cursors.append(cursor)
    seqs = [cursor.seq for cursor in cursors]
    assert all(a < b for a, b in pairwise(seqs))
    assert cursors[-1].t_pub - cursors[0].t_pub <= 0.25
    assert (len(seqs) + client.skipped, client.missed) == (60, 0)
    assert client.skipped > 0


class Proxy:
    """A TCP path to an endpoint that can go silent, as when a machine is switched off."""

    def __init__(self, target: str) -> None:
        self._target = int(target.rpartition(":")[2])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._sockets: list[socket.socket] = []
        self._dead: set[socket.socket] = set()
        self.accepted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [near, far]
            self.accepted += 1
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(4096):
                if source not in self._dead:
                    sink.sendall(data)
        except OSError:
            return

    def go_dead(self) -> None:
        """Stop forwarding on all open connections, without closing them."""
        self._dead.update(self._sockets)

    def close(self) -> None:
        self._listener.close()
        for each in self._sockets:
            each.close()


def test_a_connection_that_goes_silent_is_opened_again(
    publisher: FakePublisher, kind: type[CursorClient]
) -> None:
    proxy = Proxy(publisher.endpoint)
    with kind(proxy.endpoint) as client:
        publisher.await_subscriber()
        publisher.cursor(0)
        received(client)
        proxy.go_dead()
        deadline = time.monotonic() + LONG_S
        seq = 0
        while (cursor := client.receive(0.02)) is None:
            assert time.monotonic() < deadline
            seq += 1
            publisher.cursor(seq)
        assert seq > 1
        assert client.missed == cursor.seq - 1
        assert (client.restarts, proxy.accepted) == (0, 2)
    proxy.close()


@pytest.mark.parametrize("open_client", [CursorClient, AsyncCursorClient])
def test_a_client_is_closed_with_its_last_reference(
    publisher: FakePublisher, open_client: type[CursorClient]
) -> None:
    client = open_client(publisher.endpoint)
    publisher.await_subscriber()
    # The collector finalises a cycle in any order.
    holder: dict[str, Any] = {"client": client}
    holder["self"] = holder
    socket, reference = client._socket, weakref.ref(client)
    del holder, client
    gc.collect()
    assert reference() is None
    assert socket.closed


def test_a_closed_client_is_reported(client: CursorClient) -> None:
    assert not client.closed
    client.close()
    client.close()
    assert client.closed
    for use in (client.latest, client.receive, lambda: next(iter(client))):
        with pytest.raises(RtdecodeError, match="the client is closed"):
            use()
    assert client.link is Link.WAITING


@pytest.mark.parametrize("open_client", [CursorClient, AsyncCursorClient])
def test_an_invalid_endpoint_is_refused(open_client: type[CursorClient]) -> None:
    for endpoint in ("tcp://*:5556", "ipc:///" + "x" * 200):
        with pytest.raises(RtdecodeError, match=r"is not an endpoint\. Fix: write it like|cannot connect"):
            open_client(endpoint)


@pytest.mark.parametrize("endpoint", ["tcp://rig-2.lab.example:5556", "tcp://[::1]:5556"])
def test_endpoints_on_other_machines_are_accepted(endpoint: str) -> None:
    with CursorClient(endpoint) as client:
        assert client.receive(0.0) is None


def test_ipc_endpoints_work(tmp_path: Any) -> None:
    endpoint = f"ipc://{tmp_path}/cursor"
    with FakePublisher(endpoint) as publisher, CursorClient(endpoint) as client:
        publisher.await_subscriber()
        publisher.cursor(3)
        assert received(client).seq == 3


@pytest.mark.parametrize("seconds", [0, -1.0, math.nan])
def test_invalid_times_are_refused(seconds: float) -> None:
    with pytest.raises(RtdecodeError, match=r"stale_after_s is .*; it must be above 0 seconds"):
        CursorClient(stale_after_s=seconds)
    if seconds != 0:
        with (
            CursorClient(free_endpoint()) as client,
            pytest.raises(RtdecodeError, match=r"timeout_s is .*; it must be 0 seconds or more"),
        ):
            client.receive(seconds)


def follow(
    publisher: FakePublisher,
    use: Callable[[AsyncCursorClient], Awaitable[None]],
    stale_after_s: float = 0.25,
    selector: selectors.BaseSelector | None = None,
) -> None:
    """Run `use` with a subscribed client."""

    async def run() -> None:
        client = AsyncCursorClient(publisher.endpoint, stale_after_s=stale_after_s)
        async with client, asyncio.timeout(2 * LONG_S):
            await asyncio.to_thread(publisher.await_subscriber)
            await use(client)

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        runner.run(run())


def test_a_cancelled_receive_loses_nothing(publisher: FakePublisher) -> None:
    total = 300
    rng = random.Random(1)

    async def use(client: AsyncCursorClient) -> None:
        publishing = threading.Thread(
            target=lambda: [(publisher.cursor(seq), time.sleep(0.0005)) for seq in range(total)]
        )
        publishing.start()
        seqs: list[int] = []
        cancelled = 0
        while len(seqs) < total:
            task = asyncio.create_task(client.receive())
            await asyncio.sleep(rng.choice([0, 0, 0.0002, 0.001]))
            if task.done() or not task.cancel():
                seqs.append((await task).seq)
                continue
            try:
                seqs.append((await task).seq)
            except asyncio.CancelledError:
                cancelled += 1
        publishing.join()
        assert seqs == list(range(total))
        assert cancelled > 0
        assert client.missed == 0

    # On a busy machine this test itself is late, and old cursors would be skipped.
    follow(publisher, use, stale_after_s=math.inf)


class CountingSelector(selectors.DefaultSelector):
    """Counts the turns of the event loop."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = 0

    def select(self, timeout: float | None = None) -> Any:
        self.turns += 1
        return super().select(timeout)


def test_the_event_loop_sleeps_while_waiting_and_while_nobody_reads(publisher: FakePublisher) -> None:
    selector = CountingSelector()

    async def use(client: AsyncCursorClient) -> None:
        before = selector.turns
        assert await client.receive(0.3) is None
        assert selector.turns - before < 30
        for seq in range(50):
            publisher.cursor(seq)
        before = selector.turns
        await asyncio.sleep(0.2)
        assert selector.turns - before < 10
        assert (await client.receive()).seq == 0

    follow(publisher, use, selector=selector)


def test_a_full_socket_does_not_starve_other_tasks(publisher: FakePublisher) -> None:
    async def use(client: AsyncCursorClient) -> None:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        publisher.cursor(0)
        assert await asyncio.to_thread(client._socket.poll, LONG_S * 1000)
        running = asyncio.create_task(other())
        for _ in range(10):
            await client._readable.wait(LONG_S)
        running.cancel()
        assert turns >= 9

    follow(publisher, use)


def test_two_tasks_cannot_share_a_client(publisher: FakePublisher) -> None:
    async def use(client: AsyncCursorClient) -> None:
        first = asyncio.create_task(client.receive())
        await asyncio.sleep(0)
        with pytest.raises(RtdecodeError, match="another task is waiting"):
            await client.receive(1.0)
        publisher.cursor(0)
        assert (await first).seq == 0

    follow(publisher, use)


def test_closing_ends_a_wait(publisher: FakePublisher) -> None:
    async def use(client: AsyncCursorClient) -> None:
        waiting = asyncio.create_task(client.receive())
        await asyncio.sleep(0.01)
        client.close()
        with pytest.raises(RtdecodeError, match="the client is closed"):
            await waiting
        with pytest.raises(RtdecodeError, match="the client is closed"):
            await client.receive()

    follow(publisher, use)


def test_importing_the_client_loads_no_decoder() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import rtdecode.client"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert {"rtdecode.client", "rtdecode.messages", "zmq", "msgspec"} <= modules
    packages = {module.partition(".")[0] for module in modules}
    assert packages.isdisjoint({"numpy", "scipy", "numba", "pylsl", "h5py", "torch", "typer", "rich"})
    ours = {m for m in modules if m.startswith("rtdecode.") and not m.startswith("rtdecode.client")}
    assert ours == {"rtdecode.endpoints", "rtdecode.errors", "rtdecode.messages"}
