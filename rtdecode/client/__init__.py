"""Follow and control a running `rtdecode serve` from a cursor task, a robot or a game.

    from rtdecode.client import CursorClient, Link

    with CursorClient("tcp://127.0.0.1:5556") as client:
        while (cursor := client.receive(timeout_s=1.0)) is not None:
            if client.link is Link.LIVE:
                print(cursor.bin, cursor.value)

Loads msgspec, pyzmq and nothing else. docs/client.md shows the rest.
"""

from rtdecode.client.control import AsyncControlClient, ControlClient
from rtdecode.client.cursors import AsyncCursorClient, CursorClient
from rtdecode.client.status import Status
from rtdecode.client.tracker import Link
from rtdecode.errors import RtdecodeError
from rtdecode.messages import Cursor, Flag

__all__ = [
    "AsyncControlClient",
    "AsyncCursorClient",
    "ControlClient",
    "Cursor",
    "CursorClient",
    "Flag",
    "Link",
    "RtdecodeError",
    "Status",
]
