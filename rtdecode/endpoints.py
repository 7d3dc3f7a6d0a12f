"""ZeroMQ endpoints: which texts are one, and which may be bound."""

from __future__ import annotations

import re

from rtdecode.errors import RtdecodeError

#: Host and port; a host that is bound may also be * or an interface, its port *.
_TCP = re.compile(r"tcp://(\*|[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+(?:%\w+)?\]):(\*|\d{1,5})", re.ASCII)
_LOOPBACK = re.compile(r"localhost|\[::1\]|127(\.\d+){1,3}", re.ASCII)


def check_connect(endpoint: str, flag: str | None = None) -> str:
    """Check an endpoint to connect to, and return it.

    Args:
        endpoint: tcp://host:port or ipc://path.
        flag: option that gave it, for the error.

    Raises:
        RtdecodeError: it is neither.
    """
    if "*" in _host_and_port(endpoint, flag):
        raise _no_endpoint(endpoint, flag)
    return endpoint


def check_bind(endpoint: str, flag: str, *, insecure: bool) -> None:
    """Check an endpoint that is to be bound.

    Args:
        endpoint: tcp://host:port or ipc://path.
        flag: option that gave it, for the error.
        insecure: whether other machines may reach it.

    Raises:
        RtdecodeError: it is not an endpoint, or other machines can reach it and may not.
    """
    host, _ = _host_and_port(endpoint, flag)
    if host and not insecure and not _LOOPBACK.fullmatch(host):
        raise RtdecodeError(
            f"{endpoint} can be reached from other machines, where anyone could read or stop the decoder",
            where=flag,
            fix="use 127.0.0.1, or add --insecure if the network is yours alone",
        )


def _host_and_port(endpoint: str, flag: str | None) -> tuple[str, str]:
    """Both are empty for an ipc endpoint."""
    if endpoint.startswith("ipc://") and len(endpoint) > 6:
        return "", ""
    tcp = _TCP.fullmatch(endpoint)
    if tcp is None or (tcp[2] != "*" and not 0 < int(tcp[2]) < 65536):
        raise _no_endpoint(endpoint, flag)
    return tcp[1], tcp[2]


def _no_endpoint(endpoint: str, flag: str | None) -> RtdecodeError:
    # Cursor and control have different ports, so none is suggested.
    fix = "write it like tcp://127.0.0.1:PORT or ipc:///tmp/NAME"
    return RtdecodeError(f"{endpoint!r} is not an endpoint", where=flag, fix=fix)
