"""The one decorator every kernel uses: nopython, cached on disk, strict IEEE arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` with Numba.

    Never fastmath: live, in a replay and in torch, spikes must be the same bits.
    The GIL is kept: a kernel of a few microseconds that released it would have to wait for the recorder
    thread to return it, within a bin.
    """
    compiled: Callable[P, R] = numba.njit(cache=True, fastmath=False)(function)
    return compiled
