"""Which requests the web monitor answers: none of other sites' pages in the same browser."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from rtdecode.errors import RtdecodeError


def check_host(host: str, *, insecure: bool) -> str:
    """The address to listen on: on loopback, or any with `insecure`.

    Raises:
        RtdecodeError: it is neither an IP address nor localhost, or not on loopback without `insecure`.
    """
    address = "127.0.0.1" if host == "localhost" else host.strip("[]")
    try:
        loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        raise RtdecodeError(
            f"{host} is not an IP address", where="--host", fix="write it like 127.0.0.1 or 0.0.0.0"
        ) from None
    if not loopback and not insecure:
        raise RtdecodeError(
            f"{host} can be reached from other machines, and anyone there could open the page",
            where="--host",
            fix="use 127.0.0.1 and `ssh -L`, or add --insecure on a private network",
        )
    return address


class Guard:
    """Checks the Host and Origin headers of requests.

    A page of another site that points its own name at 127.0.0.1 (DNS rebinding) sends that name as Host, so
    only addresses and this machine's own names are answered. A request from a page of another site carries
    that site's Origin, so an Origin must be this server.

    Args:
        insecure: whether other machines may connect, by any of this machine's addresses.
    """

    def __init__(self, *, insecure: bool) -> None:
        self._insecure = insecure
        self._names = {"localhost"} | ({socket.gethostname().lower()} if insecure else set())

    def knows(self, host: str | None) -> bool:
        """Whether a Host header names this server."""
        name = _host_name(f"//{host}") if host else None
        if name is None:
            return False
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name in self._names
        return self._insecure or address.is_loopback

    def reads(self, host: str | None, origin: str | None) -> bool:
        """Whether to answer a request that reads; only browsers send an Origin."""
        return self.knows(host) and (origin is None or origin.lower() == f"http://{host}".lower())

    def controls(self, host: str | None, origin: str | None) -> bool:
        """Whether to answer a request that changes something; a browser always sends its Origin then."""
        return origin is not None and self.reads(host, origin)


def _host_name(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    strange = parts.username is not None or parts.path or parts.query or parts.fragment
    return None if strange else parts.hostname
