"""Callbacks for progress."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float], None]
"""Called with what is being done and the fraction of the whole that is done, 0 to 1."""


def ignore(*_: object) -> None:
    """A callback that does nothing."""
