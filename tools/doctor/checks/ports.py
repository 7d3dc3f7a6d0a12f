"""Doctor: can the daemon's endpoints be bound, and if not, which program uses them."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import zmq

from rtdecode.tools.doctor.check import Figures, Finding, Problems, Verdict

ANSWER_MS = 1000

#: State TCP_LISTEN in /proc/net/tcp.
LISTENING = "0A"


def measure_ports(bind: str, control: str) -> Figures:
    """Whether the endpoints of `serve` can be bound; if not, who listens, and the status of a daemon."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    endpoints = [
        {"flag": flag, "endpoint": endpoint, "error": error, "holder": holder_of(endpoint) if error else None}
        for flag, endpoint in (("--bind", bind), ("--control", control))
        for error in [_bind_error(context, endpoint)]
    ]
    status = _ask_status(context, control) if endpoints[1]["error"] else None
    context.destroy(linger=0)
    return {"endpoints": endpoints, "daemon": status}


def _bind_error(context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> str | None:
    """Why the endpoint cannot be bound, None if it can."""
    if endpoint.startswith("ipc://"):
        # Binding would replace the socket file of a program that listens there.
        return "in use" if _answers(endpoint.removeprefix("ipc://")) else None
    with _socket(context, zmq.PUB, endpoint) as probe:
        try:
            probe.bind(endpoint)
        except zmq.ZMQError as error:
            return "in use" if error.errno == zmq.EADDRINUSE else str(error)
    return None


def _socket(context: zmq.Context[zmq.Socket[bytes]], kind: int, endpoint: str) -> zmq.Socket[bytes]:
    """A socket for an endpoint, which may be IPv6."""
    opened = context.socket(kind)
    opened.setsockopt(zmq.LINGER, 0)
    opened.setsockopt(zmq.IPV6, int("://[" in endpoint))
    return opened


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _ask_status(context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> dict[str, Any] | None:
    """State, stream and cursor endpoint of the rtdecode daemon there; None if there is no daemon."""
    with _socket(context, zmq.REQ, endpoint) as asking:
        try:
            asking.connect(endpoint)
            asking.send(b'{"cmd": "status"}', zmq.NOBLOCK)
            if not asking.poll(ANSWER_MS):
                return None
            reply = json.loads(asking.recv())
        except (zmq.ZMQError, ValueError):
            return None
    if not isinstance(reply, dict) or reply.get("ok") is not True or not isinstance(reply.get("state"), str):
        return None
    parts = {key: reply[key] for key in ("stream", "endpoints") if isinstance(reply.get(key), dict)}
    return {
        "state": reply["state"],
        "stream": parts.get("stream", {}).get("name"),
        "cursor": parts.get("endpoints", {}).get("cursor"),
    }


def holder_of(endpoint: str, proc: Path = Path("/proc")) -> dict[str, Any] | None:
    """Process id and name of the program that listens on a TCP endpoint, if this user may see it in /proc."""
    port = endpoint.rpartition(":")[2]
    if not endpoint.startswith("tcp://") or not port.isdigit():
        return None
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(int(port), proc)}
    for process in proc.glob("[0-9]*"):
        try:
            if any(os.readlink(link) in sockets for link in (process / "fd").iterdir()):
                return {"pid": int(process.name), "program": (process / "comm").read_text().strip()}
        except OSError:
            # It has ended, or belongs to another user.
            continue
    return None


def _listening_inodes(port: int, proc: Path) -> set[str]:
    """Inodes of the sockets that listen on a TCP port: columns of /proc/net/tcp, see proc(5)."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for columns in map(str.split, lines):
            if columns[3] == LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                inodes.add(columns[9])
    return inodes


def judge_ports(figures: Figures) -> Finding:
    """Warn if a running daemon uses them; fail if another program does or the address is not local."""
    taken = [endpoint for endpoint in figures["endpoints"] if endpoint["error"]]
    if not taken:
        return Finding(
            Verdict.OK, " and ".join(e["endpoint"] for e in figures["endpoints"]) + " can be bound"
        )
    daemon = figures["daemon"]
    problems = Problems()
    others = [e for e in taken if not _is_daemons(e, daemon)]
    if len(others) < len(taken):
        problems.add(
            "leave it if it is yours; else end it with Ctrl-C in its terminal, or give serve other endpoints"
        )
    for endpoint in others:
        problems.add(_release(endpoint), fail=True)
    return problems.finding("; ".join(_describe(e, daemon) for e in taken))


def _release(endpoint: Figures) -> str:
    other = f"give serve another endpoint with {endpoint['flag']}"
    if endpoint["error"] != "in use":
        return other
    holder = endpoint["holder"]
    program = f"{holder['program']} (process {holder['pid']})" if holder else "the program that uses it"
    return f"end {program}, or {other}"


def _is_daemons(endpoint: Figures, daemon: Figures | None) -> bool:
    if daemon is None or endpoint["error"] != "in use":
        return False
    return endpoint["flag"] == "--control" or daemon["cursor"] in (None, endpoint["endpoint"])


def _describe(endpoint: Figures, daemon: Figures | None) -> str:
    holder = endpoint["holder"]
    who = f"{holder['program']}, process {holder['pid']}" if holder else "by a process of another user"
    if daemon is not None and _is_daemons(endpoint, daemon):
        what = f"an rtdecode daemon ({daemon['state']}, stream {daemon['stream'] or 'unknown'})"
        return f"{endpoint['endpoint']} in use by {what}" + (f", process {holder['pid']}" if holder else "")
    if endpoint["error"] == "in use":
        return f"{endpoint['endpoint']} in use ({who})"
    return f"{endpoint['endpoint']} cannot be bound: {endpoint['error']}"
