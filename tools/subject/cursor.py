"""The cursor of a running daemon for a task: its position now, or None."""

from __future__ import annotations

from typing import Self

import msgspec

from rtdecode.client import Cursor, CursorClient, Link, Status
from rtdecode.tools.simulator.cursor_map import CursorMap, choose_source
from rtdecode.tools.simulator.subject import Point


class LiveCursor:
    """Follows a daemon over ZeroMQ without waiting.

    Args:
        endpoint: the daemon's `--bind`.
        limit_mm: distance of the screen's edge from the centre on each axis, mm.
        centre_mm: centre of the screen, mm.

    Attributes:
        received: number of cursors that were used.

    Raises:
        RtdecodeError: the endpoint is malformed.
    """

    def __init__(self, endpoint: str, limit_mm: float, centre_mm: Point = (0.0, 0.0)) -> None:
        self._client = CursorClient(endpoint)
        self._limit, self._centre = limit_mm, centre_mm
        self._map: CursorMap | None = None
        self._columns: tuple[list[str], list[str], list[str], list[str]] | None = None
        self._last_bin: int | None = None
        self.received = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def read(self) -> Point | None:
        """Position of the cursor, mm; None while the daemon does not decode or has sent no status yet.

        Raises:
            RtdecodeError: the daemon sends no cursor that the task can show.
        """
        while (cursor := self._client.receive(0.0)) is not None:
            self._use(cursor)
        if self._map is None:
            return None
        if self._client.link is not Link.LIVE:
            self._map.reset()
            self._last_bin = None
            return None
        return self._map.position if self._last_bin is not None else None

    def _use(self, cursor: Cursor) -> None:
        status = self._client.status
        if status is None:
            return
        columns = _columns(status)
        if self._map is None or columns != self._columns:
            source = choose_source(*columns, self._client.endpoint)
            self._map = CursorMap(source, self._limit, self._centre)
            self._columns, self._last_bin = columns, None
        out = None if isinstance(cursor.out, msgspec.UnsetType) else cursor.out
        bins = 1 if self._last_bin is None else cursor.bin - self._last_bin
        elapsed_s = max(bins, 0) * status.bin_width_s
        if self._map.update(cursor.value, out, elapsed_s) is not None:
            self._last_bin = cursor.bin
            self.received += 1

    @property
    def problem(self) -> str:
        """Why there is no cursor, in a few words."""
        client = self._client
        if client.link is Link.WAITING:
            return client.problem or "no message received yet"
        if client.link is Link.HELD:
            return "the daemon does not decode: its stream is silent, or it is paused"
        return "the daemon is gone" if client.link is Link.LOST else "no status received yet"


def _columns(status: Status) -> tuple[list[str], list[str], list[str], list[str]]:
    out = status.out or {}
    return status.names, status.units, list(out.get("names", ())), list(out.get("units", ()))
