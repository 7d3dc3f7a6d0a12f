"""Which events of a chunk may be decoded, and how many are lost."""

from __future__ import annotations

import numpy as np

from rtdecode.kernels.arrays import F8, I4, I8, U1, U4
from rtdecode.kernels.jit import kernel

RECEIVED = 0
LOST = 1
DUPLICATE = 2
OUT_OF_ORDER = 3
OUT_OF_RANGE = 4
RENUMBERED = 5
NOT_A_COUNT = 6
N_SEQUENCE_COUNTERS = 7

LAST = 0
STARTED = 1
OWED = 2

#: A jump in the sequence number at least this large is an outlet that restarted its numbering.
RENUMBER_JUMP = 1 << 24


@kernel
def check_events(
    samples: I4,
    n: int,
    possible: U1,
    n_channels: int,
    state: I8,
    seen: U1,
    unit: U1,
    channel: I4,
    accepted: U1,
    lost_before: U4,
    counters: I8,
) -> None:
    """Check a chunk of the `events` layout: int32 rows of [channel, unit, seq].

    `seq` runs modulo 2³². A number ahead counts the ones between as lost; one at most `len(seen)` numbers
    back is a duplicate if it was seen, and otherwise an event out of order, subtracted from the lost again.
    A jump beyond that, back or ahead, is a new numbering.

    Args:
        samples: i4[>=n, 3].
        possible: u1[>=n], 0 for an event whose stamp is not to be used: its number is noted, but it is
            neither accepted nor counted as a duplicate or out of range.
        state: i8[2], the last sequence number and whether there was one.
        seen: u1[power of two], which of the latest numbers were received.
        unit, channel, accepted, lost_before: written, per event.
        counters: i8[N_SEQUENCE_COUNTERS].
    """
    window = len(seen)
    for i in range(n):
        counters[RECEIVED] += 1
        lost_before[i] = 0
        accepted[i] = possible[i]
        seq = np.int64(samples[i, 2])
        # The signed difference modulo 2**32, so that a numbering which wraps around continues.
        step = ((seq - state[LAST] + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        if state[STARTED] == 0 or step >= RENUMBER_JUMP or step <= -window:
            if state[STARTED]:
                counters[RENUMBERED] += 1
            state[STARTED] = 1
            state[LAST] = seq
            # Events before the first number cannot be told apart: lost, or never sent to this inlet.
            seen[:] = 1
        elif step > 0:
            if step > 1:
                lost_before[i] = step - 1
                counters[LOST] += step - 1
                for missing in range(max(1, step - window), step):
                    seen[(state[LAST] + missing) & (window - 1)] = 0
            seen[seq & (window - 1)] = 1
            state[LAST] = seq
        elif seen[seq & (window - 1)]:
            counters[DUPLICATE] += accepted[i]
            accepted[i] = 0
        else:
            seen[seq & (window - 1)] = 1
            counters[OUT_OF_ORDER] += 1
            counters[LOST] -= 1
        c = samples[i, 0]
        if c < 0 or c >= n_channels:
            if accepted[i]:
                counters[OUT_OF_RANGE] += 1
            accepted[i] = 0
        channel[i] = c
        unit[i] = min(max(samples[i, 1], 0), 255)


GRID = 0
JITTER = 1

#: How fast the timing of a counts stream follows its stamps (fraction of the error, per sample).
GRID_GAIN = 0.02


@kernel
def check_counts(
    samples: I4,
    n: int,
    possible: U1,
    period_s: float,
    grid: F8,
    state: I8,
    time: F8,
    counts: U1,
    index: I8,
    accepted: U1,
    lost_before: U4,
    counters: I8,
) -> None:
    """Check and number a chunk of the `counts` layout: one row of counts per sample.

    LSL delivers in order, so samples are numbered one after another; stamps that have moved
    further than half a period (or four times the source's own jitter) from the expected time are samples
    lost, or, backwards, a sample out of order, which gets the number of its stamp. Expected times
    follow the stamps slowly, because no source runs at exactly its nominal rate.

    Args:
        samples: i4[>=n, n_channels]; a negative count is counted as not a count and read as 0,
            one above 255 as 255.
        possible: u1[n], 0 for a stamp that is not to be used: the sample keeps its place by its order.
        grid: f8[2], the start of sample 0's interval and the running jitter; updated here.
        state: i8[2], the last sample's number and whether there was one.
        time: f8[n], event time of each sample (the end of its interval).
        counts, index, accepted, lost_before: written, per sample.
        counters: i8[N_SEQUENCE_COUNTERS].
    """
    n_channels = samples.shape[1]
    for i in range(n):
        counters[RECEIVED] += 1
        lost_before[i] = 0
        accepted[i] = possible[i]
        expected = state[LAST] + 1
        error = 0.0
        if possible[i]:
            error = time[i] - (grid[GRID] + (expected + 1) * period_s)
        tolerance = max(0.5 * period_s, 4.0 * grid[JITTER])
        if error > tolerance:
            missing = max(1, int(np.round(error / period_s)))
            state[OWED] += missing
            lost_before[i] = missing
            counters[LOST] += missing
            state[LAST] = expected + missing
            index[i] = state[LAST]
        elif error < -tolerance:
            # Its stamp decides its bin; binning treats it like any late event.
            counters[OUT_OF_ORDER] += 1
            if state[OWED] > 0:
                state[OWED] -= 1
                counters[LOST] -= 1
            index[i] = expected + int(np.round(error / period_s))
        else:
            state[LAST] = expected
            index[i] = expected
            grid[GRID] += GRID_GAIN * error
        if error <= tolerance:
            # A gap is no jitter; a sample back from a supposed gap is.
            grid[JITTER] += 0.05 * (min(abs(error), 10.0 * period_s) - grid[JITTER])
        for c in range(n_channels):
            value = samples[i, c]
            if value < 0:
                counters[NOT_A_COUNT] += 1
                value = 0
            counts[i, c] = min(value, 255)
