"""Which stamps of one pull are possible at all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtdecode.kernels.jit import kernel

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
U1 = npt.NDArray[np.uint8]

AHEAD = 0
BEHIND = 1
NOT_FINITE = 2
N_IMPOSSIBLE = 3


@kernel
def weigh_stamps(
    time: F8,
    n: int,
    oldest_s: float,
    latest_s: float,
    doubt: float,
    relief: float,
    limit: float,
    possible: U1,
    impossible: I8,
) -> float:
    """Mark the stamps in [oldest_s, latest_s] as possible.

    Args:
        time: f8[>=n], stamps on our clock, in the order of their arrival.
        doubt: leaky count of impossible stamps: each adds 1, each possible one takes `relief` off; it stays
            between 0 and `limit`.
        possible: u1[>=n], written.
        impossible: i8[N_IMPOSSIBLE], the number of those AHEAD, BEHIND and NOT_FINITE; written.

    Returns:
        The doubt after the last sample.
    """
    impossible[:] = 0
    for i in range(n):
        t = time[i]
        if oldest_s <= t <= latest_s:
            possible[i] = 1
            doubt = max(0.0, doubt - relief)
            continue
        possible[i] = 0
        doubt = min(limit, doubt + 1.0)
        if not np.isfinite(t):
            impossible[NOT_FINITE] += 1
        elif t > latest_s:
            impossible[AHEAD] += 1
        else:
            impossible[BEHIND] += 1
    return doubt


@kernel
def newest_finite(time: F8, n: int) -> float:
    """The stamp of the last of `n` samples that has a finite one; NaN without any."""
    for i in range(n - 1, -1, -1):
        if np.isfinite(time[i]):
            return float(time[i])
    return np.nan


@kernel
def newest_possible(time: F8, possible: U1, n: int) -> float:
    """The latest of the first `n` stamps that are possible; -inf without any."""
    newest_s = -np.inf
    for i in range(n):
        if possible[i] and time[i] > newest_s:
            newest_s = time[i]
    return newest_s


@kernel
def lower_quartile(values: F8, n: int) -> float:
    """The lower quartile of the first `n` values, itself one of them."""
    return float(np.sort(values[:n])[n // 4])
