"""Raw voltage to threshold crossings: band-pass, common reference, detection.

Each kernel goes through the samples in order and keeps its state in its arrays between calls, so results do
not depend on the chunks of a recording. The inner loops run over the channels of a row: one channel's filter
has to wait for its own last output, the filters of 64 channels are independent.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtdecode.kernels.jit import kernel

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
U1 = NDArray[np.uint8]
U2 = NDArray[np.uint16]

#: Every FLUSH_EVERY samples, state below TINY becomes 0: the filter of an unplugged channel would otherwise
#: decay into subnormal numbers, with which some processors compute 100 times slower.
FLUSH_EVERY = 1024
TINY = 1e-100


@kernel
def filter_rows(
    samples: F8, offset: F8, sections: F8, state: F8, row: F8, first_sample: int, out: F4
) -> None:
    """Second-order sections in transposed direct form II, as scipy.signal.sosfilt, over every channel.

    Args:
        samples: f8[T, C].
        offset: f8[C], subtracted from each sample first.
        sections: f8[S, 6], b0 b1 b2 1 a1 a2.
        state: f8[S, 2, C], 0 at the first sample of a recording; updated here.
        row: f8[C], scratch.
        first_sample: number of the first row since the recording's start.
        out: f4[T, C], overwritten.
    """
    n_sections, n_channels = sections.shape[0], samples.shape[1]
    for t in range(samples.shape[0]):
        for c in range(n_channels):
            row[c] = samples[t, c] - offset[c]
        for s in range(n_sections):
            b0, b1, b2 = sections[s, 0], sections[s, 1], sections[s, 2]
            a1, a2 = sections[s, 4], sections[s, 5]
            now, later = state[s, 0], state[s, 1]
            for c in range(n_channels):
                x = row[c]
                y = b0 * x + now[c]
                now[c] = b1 * x - a1 * y + later[c]
                later[c] = b2 * x - a2 * y
                row[c] = y
        for c in range(n_channels):
            out[t, c] = row[c]
        if (first_sample + t) % FLUSH_EVERY == 0:
            for s in range(n_sections):
                for k in range(2):
                    kept = state[s, k]
                    for c in range(n_channels):
                        kept[c] = kept[c] if abs(kept[c]) > TINY else 0.0


@kernel
def subtract_mean(rows: F4) -> None:
    """Subtract the mean over channels from each row of f4[T, C], except exact zeros (dead channels)."""
    n_channels = rows.shape[1]
    for t in range(rows.shape[0]):
        total, n_alive = 0.0, 0
        for c in range(n_channels):
            total += rows[t, c]
            n_alive += int(rows[t, c] != 0)
        mean = np.float32(total / max(n_alive, 1))
        for c in range(n_channels):
            rows[t, c] -= mean if rows[t, c] != 0 else np.float32(0)


@kernel
def subtract_median(rows: F4) -> None:
    """Subtract the median over channels from each row of f4[T, C], except exact zeros (dead channels)."""
    n_channels = rows.shape[1]
    alive = np.zeros(n_channels, np.float32)
    for t in range(rows.shape[0]):
        n_alive = 0
        for c in range(n_channels):
            alive[n_alive] = rows[t, c]
            n_alive += int(rows[t, c] != 0)
        if n_alive == 0:
            continue
        median = np.float32(np.median(alive[:n_alive]))
        for c in range(n_channels):
            rows[t, c] -= median if rows[t, c] != 0 else np.float32(0)


@kernel
def find_crossings(
    rows: F4,
    low: F4,
    high: F4,
    refractory: int,
    first_sample: int,
    beyond: U1,
    last: I8,
    sample: I8,
    channel: U2,
) -> int:
    """Samples at which a channel goes below `low` or above `high` from between them.

    Args:
        rows: f4[T, C], filtered.
        low, high: f4[C]; −inf and inf for no threshold.
        refractory: samples after a crossing in which the channel has no other.
        first_sample: number of the first row since the recording's start.
        beyond: u1[C], whether the sample before was beyond either; updated here.
        last: i8[C], sample of the last crossing, far below 0 before there is one; updated here.
        sample, channel: written; room for ⌈T / max(refractory, 2)⌉ · C at least.

    Returns:
        Number of crossings written, sorted by sample, then by channel.
    """
    n_channels = rows.shape[1]
    n = 0
    any_beyond = False
    for c in range(n_channels):
        any_beyond |= beyond[c] != 0
    for t in range(rows.shape[0]):
        row = rows[t]
        # Most rows have no crossing: a loop without a branch checks several channels at a time.
        n_beyond = 0
        for c in range(n_channels):
            n_beyond += int(row[c] < low[c]) | int(row[c] > high[c])
        if n_beyond == 0:
            if any_beyond:
                beyond[:] = 0
                any_beyond = False
            continue
        any_beyond = True
        for c in range(n_channels):
            is_beyond = row[c] < low[c] or row[c] > high[c]
            if is_beyond and not beyond[c] and first_sample + t - last[c] >= refractory:
                sample[n] = first_sample + t
                channel[n] = c
                n += 1
                last[c] = first_sample + t
            beyond[c] = is_beyond
    return n
