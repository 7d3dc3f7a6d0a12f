"""The one decorator every kernel uses: nopython, cached on disk, strict IEEE arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` with Numba.

    Never fastmath: DESIGN promises the same bits in Numba, in torch, live and in a replay.
    The GIL is kept: a kernel of a few microseconds that let it go would have to win it back from
    the recorder thread, in the middle of a bin.
    """
    compiled: Callable[P, R] = numba.njit(cache=True, fastmath=False)(function)
    return compiled
