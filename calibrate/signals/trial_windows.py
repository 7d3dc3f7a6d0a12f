"""Windows of equal length: cut at the trials of the task, or one after another through the recording.

    cut = trial_windows(session.trials, binned, window_s=2.0)
    windows = take_windows(binned.counts, targets, cut.first, cut.window_bins)
    windows.counts  # u1[N, C, W]

`calibrate.training.windows` draws windows at random for training; these are the same each time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtdecode.calibrate.data.splits import is_complete
from rtdecode.errors import RtdecodeError
from rtdecode.session.bins import WHOLE_BIN, BinnedSession
from rtdecode.session.layout import Trials

WINDOW_S = 2.0


@dataclass(frozen=True, eq=False)
class TrialWindows:
    """Where the windows of the trials begin.

    Attributes:
        first: i8[N], first bin of each window, in the order of the trials.
        trial: i8[N], the row of `Trials` that each was cut from.
        window_bins: W.
        n_short: trials left out because they hold fewer than W whole bins; 0 with `extend_short`.
        n_outside: trials left out because none of their windows is wholly inside the recording.
    """

    first: NDArray[np.int64]
    trial: NDArray[np.int64]
    window_bins: int
    n_short: int
    n_outside: int


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of one recording, ready to be stacked with others.

    Attributes:
        counts: [N, C, W], spikes per bin, in the dtype they came in.
        targets: f4[N, D, W]; 0 where unknown.
        weight: f4[N, 1, W], 1 where every output is finite, 0 elsewhere. A window without labels is kept
            with weight 0 throughout.
    """

    counts: NDArray[np.generic]
    targets: NDArray[np.float32]
    weight: NDArray[np.float32]


def bins_in_window(window_s: float, bin_width_s: float) -> int:
    """W, the whole number of bins nearest to `window_s`: 100 for 2 s at 20 ms, 31 at 64 ms.

    Raises:
        RtdecodeError: that is no bin at all, or a length or width is not positive.
    """
    fine = all(math.isfinite(seconds) and seconds > 0 for seconds in (window_s, bin_width_s))
    n = round(window_s / bin_width_s) if fine else 0
    if n < 1:
        raise RtdecodeError(
            f"a window of {window_s:g} s does not hold a bin of {bin_width_s:g} s", fix="give a longer one"
        )
    return n


def continuous_windows(n_bins: int, window_bins: int, hop_bins: int) -> NDArray[np.int64]:
    """First bins i8[N] of the windows 0 … W − 1, hop … hop + W − 1 and so on that n_bins bins hold whole.

    Args:
        n_bins: of the recording.
        window_bins: W.
        hop_bins: from one window's first bin to the next one's; less than W where windows overlap.

    Raises:
        RtdecodeError: a window or hop without bins.
    """
    if window_bins < 1 or hop_bins < 1:
        raise RtdecodeError(
            f"windows must have at least 1 bin, got {window_bins} every {hop_bins}",
            fix="give 1 bin or more for both",
        )
    return np.arange(0, n_bins - window_bins + 1, hop_bins, dtype=np.int64)


def trial_windows(
    trials: Trials,
    binned: BinnedSession,
    window_s: float = WINDOW_S,
    hop_s: float | None = None,
    extend_short: bool = False,
) -> TrialWindows:
    """Cut each trial into windows, the first one beginning with its first whole bin.

    A trial that is longer than a window gives one every `hop_s`, as many as end before it does; what is
    left at its end is in none of them. A trial that is shorter gives none and is counted, or with
    `extend_short` gives one that extends past its stop, over whatever was recorded there: the next trial
    too, if it begins. Windows that extend outside the recording, or over a gap of it, are left out; a trial
    without any other is counted.

    Args:
        trials: with start and stop in the session's seconds.
        binned: the session in bins.
        window_s: length of a window, rounded to whole bins.
        hop_s: from one window of a trial to its next, rounded to whole bins; None for `window_s`.
        extend_short: whether a trial shorter than a window gives one.

    Raises:
        RtdecodeError: a window or hop shorter than a bin.
    """
    width_s, n_bins = binned.bin_width_s, len(binned.counts)
    window = bins_in_window(window_s, width_s)
    hop = window if hop_s is None else bins_in_window(hop_s, width_s)
    start = np.ceil((trials.start - binned.origin_s) / width_s - WHOLE_BIN).astype(np.int64)
    stop = np.floor((trials.stop - binned.origin_s) / width_s + WHOLE_BIN).astype(np.int64)
    number = np.arange(n_bins) if binned.number is None else binned.number
    padded = np.concatenate((number, np.full(window, -1)))
    first: list[NDArray[np.int64]] = []
    trial: list[NDArray[np.int64]] = []
    n_short = n_outside = 0
    for row, (begin, end) in enumerate(zip(start.tolist(), stop.tolist(), strict=True)):
        if end - begin < window and not extend_short:
            n_short += 1
            continue
        begins = begin + continuous_windows(max(end - begin, window), window, hop)
        at = np.searchsorted(number, begins)
        inside = at[(padded[at] == begins) & (padded[at + window - 1] == begins + window - 1)]
        n_outside += not inside.size
        first.append(inside)
        trial.append(np.full(inside.size, row))
    empty = [np.zeros(0, np.int64)]
    return TrialWindows(
        np.concatenate(first or empty), np.concatenate(trial or empty), window, n_short, n_outside
    )


def take_windows(
    counts: NDArray[np.generic],
    targets: NDArray[np.floating],
    first: NDArray[np.int64],
    window_bins: int,
) -> Windows:
    """The counts and behaviour of each window.

    Args:
        counts: [T, C], spikes per bin.
        targets: f4 or f8 [T, D], NaN where unknown.
        first: i8[N], first bins, as `trial_windows` or `continuous_windows` give them.
        window_bins: W.

    Raises:
        RtdecodeError: counts and targets differ in length, or a window reaches outside them.
    """
    if len(counts) != len(targets):
        raise RtdecodeError(
            f"there are {len(counts)} bins of counts and {len(targets)} of behaviour",
            fix="cut both from one session",
        )
    if first.size and not (first.min() >= 0 and first.max() + window_bins <= len(counts)):
        raise RtdecodeError(
            f"a window of {window_bins} bins begins at bin "
            f"{first.min() if first.min() < 0 else first.max()}, and the recording has {len(counts)} bins",
            fix="cut the windows from this recording's bins",
        )
    bins = first[:, np.newaxis] + np.arange(window_bins)
    labelled = is_complete(targets)
    filled = np.where(labelled[:, np.newaxis], targets, 0.0).astype(np.float32)
    return Windows(
        counts=np.ascontiguousarray(counts[bins].transpose(0, 2, 1)),
        targets=np.ascontiguousarray(filled[bins].transpose(0, 2, 1)),
        weight=labelled[bins].astype(np.float32)[:, np.newaxis],
    )
