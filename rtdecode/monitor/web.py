"""`rtdecode monitor --web`: the page, its WebSocket, and the requests that control, in one server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import re
import signal
import socket
from collections.abc import Callable
from importlib.resources import files

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from rtdecode.client import AsyncControlClient
from rtdecode.errors import RtdecodeError
from rtdecode.monitor.guard import Guard
from rtdecode.monitor.hub import Hub, Page
from rtdecode.monitor.listen import Listener
from rtdecode.monitor.state import MonitorState

FRAME_EVERY_S = 0.1

#: Most pages at a time; more are refused.
MAX_PAGES = 32

#: Longest message of a page: a word for a drawn frame, a path for a swap.
MAX_MESSAGE_BYTES = 4096

#: A page that does not answer a ping is gone.
PING_S = 10.0

#: Old frames must not pile up in the kernel either.
SEND_BUFFER_BYTES = 65536

#: How a connection ends: closed, interrupted while sending, or with bytes, which the page never sends.
GONE = (WebSocketDisconnect, RuntimeError, KeyError)

COMMANDS = ("pause", "resume", "reset", "stop", "swap")


class ControlRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /control."""

    cmd: str
    path: str | None = None


class Site:
    """The answers of the server.

    Args:
        hub: where frames come from.
        guard: decides which requests are answered.
        control: sends control requests; None to refuse them.
    """

    def __init__(self, hub: Hub, guard: Guard, control: AsyncControlClient | None) -> None:
        self._hub, self._guard, self._control = hub, guard, control
        self._pages = 0
        self._html = files("rtdecode.monitor").joinpath("page.html").read_text("utf-8")
        self._headers = {
            "Content-Security-Policy": content_policy(self._html),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }

    def app(self) -> Starlette:
        """The application."""
        routes = [
            Route("/", self.page),
            Route("/control", self.control, methods=["POST"]),
            WebSocketRoute("/frames", self.frames),
        ]
        return Starlette(routes=routes)

    async def page(self, request: Request) -> Response:
        """GET /."""
        if not self._guard.knows(request.headers.get("host")):
            return PlainTextResponse("this is not the name of this machine\n", 403)
        return Response(self._html, media_type="text/html", headers=self._headers)

    async def control(self, request: Request) -> Response:
        """POST /control with {"cmd": …} as JSON; answers as the daemon's control socket does."""
        headers = request.headers
        if not self._guard.controls(headers.get("host"), headers.get("origin")):
            return _refused("only the monitor's own page may control the daemon", 403)
        if self._control is None:
            return _refused("this monitor cannot control the daemon; start it with --allow-control", 403)
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _refused("the body must be application/json", 415)
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_MESSAGE_BYTES:
                return _refused("the body is too long", 413)
        try:
            command = msgspec.json.decode(body, type=ControlRequest)
        except (msgspec.MsgspecError, ValueError):
            return _refused('send {"cmd": …}, and "path" for swap', 400)
        if command.cmd not in COMMANDS or (command.cmd == "swap") != bool(command.path):
            return _refused(f"cmd is one of {', '.join(COMMANDS)}; swap takes a path, the others none", 400)
        try:
            if command.path is not None:
                return JSONResponse({"ok": True, "bin": await self._control.swap(command.path)})
            return JSONResponse(await self._control.request(command.cmd))
        except RtdecodeError as error:
            return _refused(str(error), 502)

    async def frames(self, websocket: WebSocket) -> None:
        """The WebSocket: frames out, an acknowledgement of each drawn frame in."""
        headers = websocket.headers
        if not self._guard.reads(headers.get("host"), headers.get("origin")) or self._pages >= MAX_PAGES:
            # Closed before it is accepted, the answer is 403.
            await websocket.close()
            return
        self._pages += 1
        try:
            await websocket.accept()
            page = Page(self._hub, websocket.send_text)
            async with asyncio.TaskGroup() as both:
                both.create_task(page.run())
                both.create_task(_read_page(websocket, page))
        except* GONE:
            pass
        finally:
            self._pages -= 1


async def _read_page(websocket: WebSocket, page: Page) -> None:
    while True:
        await websocket.receive_text()
        page.seen()


def content_policy(html: str) -> str:
    """A policy that lets the page's own script and style run, and nothing from anywhere else."""

    def hashes(tag: str) -> str:
        blocks = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digests = (base64.b64encode(hashlib.sha256(block.encode()).digest()).decode() for block in blocks)
        return " ".join(f"'sha256-{digest}'" for digest in digests)

    return (
        f"default-src 'none'; script-src {hashes('script')}; style-src {hashes('style')}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _refused(error: str, status: int) -> Response:
    return JSONResponse({"ok": False, "error": error}, status)


def serve_web(
    listener: Listener,
    guard: Guard,
    host: str,
    port: int,
    control: str | None,
    print_line: Callable[[str], None],
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        listener: of the daemon.
        guard: decides which requests are answered.
        host: address to listen on, checked (`guard.check_host`).
        port: 0 for a free one.
        control: the daemon's control endpoint if pages may control it; None if they may not.
        print_line: prints a line.

    Raises:
        RtdecodeError: the port is in use.
    """
    with _bound(host, port) as listening:
        client = AsyncControlClient(control) if control else None
        asyncio.run(_serve(listener, guard, client, listening, print_line))


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    try:
        bound.bind((host, port))
        # A reader of the printed address may connect at once.
        bound.listen(MAX_PAGES)
    except OSError as error:
        bound.close()
        raise RtdecodeError(
            f"cannot listen on {host}:{port} ({error.strerror or error})",
            where="--port",
            fix="choose another port, or stop the monitor that uses it",
        ) from None
    return bound


async def _serve(
    listener: Listener,
    guard: Guard,
    control: AsyncControlClient | None,
    bound: socket.socket,
    print_line: Callable[[str], None],
) -> None:
    state = MonitorState(listener.endpoint)
    hub = Hub(state, {"control": control is not None})
    config = uvicorn.Config(
        Site(hub, guard, control).app(),
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_max_queue=4,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PING_S,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    # For a signal before uvicorn handles them, and for the one it raises again after its shutdown.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    host, port = bound.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    what = "shows and controls" if control else "shows"
    print_line(f"http://{shown}:{port} {what} the daemon at {listener.endpoint}; Ctrl-C ends it")
    reading = asyncio.create_task(_read(listener, state, hub))
    try:
        await server.serve(sockets=[bound])
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading


async def _read(listener: Listener, state: MonitorState, hub: Hub) -> None:
    """Read the sockets and publish a frame ten times a second, with or without a page."""
    while True:
        hub.publish(listener.read_into(state))
        await asyncio.sleep(FRAME_EVERY_S)
