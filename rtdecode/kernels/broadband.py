"""Raw voltage to threshold crossings and spike-band power: band-pass, re-referencing, detection.

Each kernel goes through the samples in order and keeps its state in its arrays between calls, so results do
not depend on the chunks of a recording. The inner loops run over the channels of a row: one channel's filter
has to wait for its own last output, the filters of 64 channels are independent.

A filtered sample is NaN where the voltage is unknown: at samples that are NaN, infinite or at the limit of
the converter, and while a filter that has started again settles.
"""

from __future__ import annotations

import numpy as np

from rtdecode.kernels import sequence
from rtdecode.kernels.arrays import F4, F8, I8, U1, U2, U4
from rtdecode.kernels.jit import kernel

#: Every FLUSH_EVERY samples, state below TINY becomes 0: the filter of an unplugged channel would otherwise
#: decay into subnormal numbers, with which some processors compute 100 times slower.
FLUSH_EVERY = 1024
TINY = 1e-100

#: A stamp so many jitters after its time is that of a sample after lost ones, and jitter is the largest of
#: the last seconds: programs stamp whole chunks, as they come.
JITTERS, JITTER_S, START_JITTER_S = 4.0, 2.0, 0.001

#: Memory of the times of samples, s.
TIMING_S = 1.0

#: Rows that a weight, once loaded, is used for.
TILE = 4


@kernel
def filter_rows(
    samples: F8,
    lowest: float,
    highest: float,
    settle: int,
    offset: F8,
    sections: F8,
    state: F8,
    unsettled: I8,
    n_unknown: I8,
    row: F8,
    first_sample: int,
    out: F4,
) -> None:
    """Second-order sections in transposed direct form II, as scipy.signal.sosfilt, over every channel.

    A channel whose sample is unknown starts again with its next known one, as at the start of a recording.

    Args:
        samples: f8[T, C].
        lowest, highest: a sample that is not between them is unknown.
        settle: samples for which the output stays unknown after a start.
        offset: f8[C], subtracted from each sample first: the first one since the start; NaN before it.
        sections: f8[S, 6], b0 b1 b2 1 a1 a2.
        state: f8[S, 2, C], 0 at a start; updated here.
        unsettled: i8[C], samples until the output is known; updated here.
        n_unknown: i8[C], unknown samples are added here.
        row: f8[C], scratch.
        first_sample: number of the first row since the recording's start.
        out: f4[T, C], overwritten.
    """
    n_sections, n_channels = sections.shape[0], samples.shape[1]
    settling = False
    for c in range(n_channels):
        settling |= unsettled[c] > 0
    for t in range(samples.shape[0]):
        # Nearly all rows are plain: a loop without a branch checks several channels at a time.
        n_odd = 0
        for c in range(n_channels):
            x = samples[t, c]
            row[c] = x - offset[c]
            n_odd += int(not x > lowest) | int(not x < highest) | int(offset[c] != offset[c])
        if n_odd:
            settling = True
            for c in range(n_channels):
                x = samples[t, c]
                if not lowest < x < highest:
                    offset[c] = np.nan
                    state[:, :, c] = 0.0
                    unsettled[c] = settle + 1
                    n_unknown[c] += 1
                    row[c] = 0.0
                elif np.isnan(offset[c]):
                    offset[c] = x
                    row[c] = 0.0
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
        if settling:
            settling = False
            for c in range(n_channels):
                if unsettled[c] > 0:
                    out[t, c] = np.nan
                    unsettled[c] -= 1
                    settling |= unsettled[c] > 0
        if (first_sample + t) % FLUSH_EVERY == 0:
            for s in range(n_sections):
                for k in range(2):
                    kept = state[s, k]
                    for c in range(n_channels):
                        kept[c] = kept[c] if abs(kept[c]) > TINY else 0.0


@kernel
def subtract_mean(rows: F4) -> None:
    """Subtract the mean over channels from each row of f4[T, C].

    Exact zeros, dead channels, and NaN take no part.
    """
    n_channels = rows.shape[1]
    for t in range(rows.shape[0]):
        total, n_alive = 0.0, 0
        for c in range(n_channels):
            alive = abs(rows[t, c]) > 0
            total += float(rows[t, c]) if alive else 0.0
            n_alive += int(alive)
        mean = np.float32(total / max(n_alive, 1))
        for c in range(n_channels):
            rows[t, c] -= mean if rows[t, c] != 0 else np.float32(0)


@kernel
def subtract_median(rows: F4) -> None:
    """Subtract the median over channels from each row of f4[T, C], as `subtract_mean`."""
    n_channels = rows.shape[1]
    alive = np.zeros(n_channels, np.float32)
    for t in range(rows.shape[0]):
        n_alive = 0
        for c in range(n_channels):
            alive[n_alive] = rows[t, c]
            n_alive += int(abs(rows[t, c]) > 0)
        if n_alive == 0:
            continue
        median = np.float32(np.median(alive[:n_alive]))
        for c in range(n_channels):
            rows[t, c] -= median if rows[t, c] != 0 else np.float32(0)


@kernel
def subtract_predicted(rows: F4, weights: F4) -> None:
    """Subtract from each channel of f4[T, C] what the others predict: x[c] − Σ_j weights[j, c]·x[j].

    The terms are added in the order of j; an unknown channel counts as 0 there, and stays NaN.
    """
    n_rows, n_channels = rows.shape
    known = np.zeros((TILE, n_channels), np.float32)
    left = np.zeros((TILE, n_channels), np.float32)
    for begin in range(0, n_rows, TILE):
        n = min(TILE, n_rows - begin)
        for t in range(n):
            for c in range(n_channels):
                x = rows[begin + t, c]
                left[t, c] = x
                known[t, c] = x if x == x else np.float32(0)
        for j in range(n_channels):
            x0, x1, x2, x3 = known[0, j], known[1, j], known[2, j], known[3, j]
            for c in range(n_channels):
                weight = weights[j, c]
                left[0, c] -= weight * x0
                left[1, c] -= weight * x1
                left[2, c] -= weight * x2
                left[3, c] -= weight * x3
        for t in range(n):
            for c in range(n_channels):
                rows[begin + t, c] = left[t, c]


@kernel
def add_products(rows: F4, products: F8) -> None:
    """Add Σ_t x[t, i]·x[t, j] of f4[T, C] to f8[C, C], NaN as 0; BLAS would sum in an order of its own."""
    n_channels = rows.shape[1]
    known = np.zeros(n_channels)
    for t in range(rows.shape[0]):
        for c in range(n_channels):
            x = rows[t, c]
            known[c] = x if x == x else np.float32(0)
        for i in range(n_channels):
            for j in range(n_channels):
                products[i, j] += known[i] * known[j]


@kernel
def invert(matrix: F8) -> None:
    """Invert a symmetric positive definite f8[n, n] in place (Gauss-Jordan; LAPACK's result is BLAS's)."""
    n = matrix.shape[0]
    for k in range(n):
        pivot = 1.0 / matrix[k, k]
        matrix[k, k] = 1.0
        for j in range(n):
            matrix[k, j] *= pivot
        for i in range(n):
            if i != k:
                factor = matrix[i, k]
                matrix[i, k] = 0.0
                for j in range(n):
                    matrix[i, j] -= factor * matrix[k, j]


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
        rows: f4[T, C], filtered; NaN is neither between nor beyond.
        low, high: f4[C]; −inf and inf for no threshold.
        refractory: samples after a crossing in which the channel has no other.
        first_sample: number of the first row since the recording's start.
        beyond: u1[C], whether the sample before was not between them; updated here.
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
            n_beyond += int(not row[c] >= low[c]) | int(not row[c] <= high[c])
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
            beyond[c] = is_beyond or row[c] != row[c]
    return n


@kernel
def add_power(rows: F4, squared: bool, total: F8, n_known: I8) -> None:
    """Add |x|, or x² if `squared`, of each known sample of f4[T, C] to f8[C], and their number to i8[C]."""
    for t in range(rows.shape[0]):
        for c in range(rows.shape[1]):
            x = np.float64(rows[t, c])
            known = x == x
            size = x * x if squared else abs(x)
            total[c] += size if known else 0.0
            n_known[c] += int(known)


@kernel
def place_samples(
    time: F8,
    n: int,
    possible: U1,
    timing: F8,
    state: I8,
    number: I8,
    accepted: U1,
    lost_before: U4,
    end: F8,
    counters: I8,
) -> None:
    """Number a chunk of voltage and estimate the time of each sample.

    LSL delivers in order and loses nothing on the way, so samples follow one another; their stamps, taken
    chunk by chunk, jitter by many periods, and are smoothed over TIMING_S. Only a stamp far beyond their
    jitter shows that the source has lost samples, until one soon after shows that it had not.

    Args:
        time: f8[>=n], stamps.
        possible: u1[>=n], 0 for a stamp that is not to be used.
        timing, state: f8[4] and i8[5] as of `sequence.place_sample`, started; jitter is the largest lately.
        number, accepted, lost_before: written, per sample.
        end: f8[>=n], written: estimated time.
        counters: i8[N_SEQUENCE_COUNTERS].
    """
    nominal = timing[sequence.NOMINAL]
    memory = TIMING_S / nominal
    for i in range(n):
        period_s = timing[sequence.PERIOD]
        due = timing[sequence.END] + period_s
        error = time[i] - due if possible[i] else 0.0
        owed_s = state[sequence.OWED] * period_s
        tolerance = max(sequence.MOST_JITTER * period_s, JITTERS * timing[sequence.JITTER])
        if error < -min(0.5 * owed_s, tolerance) < 0.0:
            # Rather than that samples were lost, the stamp was late behind which they seemed to be.
            counters[sequence.LOST] -= state[sequence.OWED]
            state[sequence.OWED] = 0
            timing[sequence.JITTER] = max(timing[sequence.JITTER], owed_s / JITTERS)
            due -= owed_s
            error += owed_s
            tolerance = max(tolerance, owed_s)
        timing[sequence.JITTER] *= 1.0 - nominal / JITTER_S
        missing = 0
        if error > tolerance:
            missing = max(1, int(np.round(error / period_s)))
            due += missing * period_s
            state[sequence.OWED] += missing
            state[sequence.SINCE_GAP] = 0
        elif error < -tolerance:
            due = time[i]
        elif possible[i]:
            timing[sequence.JITTER] = max(timing[sequence.JITTER], abs(error))
            due += max(1.0 / state[sequence.SEEN], 2.0 / memory) * error
            followed = period_s + error / memory**2
            most = sequence.MOST_OFF * nominal
            timing[sequence.PERIOD] = min(max(followed, nominal - most), nominal + most)
            state[sequence.SEEN] += 1
        state[sequence.SINCE_GAP] += 1
        if state[sequence.SINCE_GAP] > memory:
            state[sequence.OWED] = 0
        state[sequence.LAST] += 1 + missing
        timing[sequence.END] = due
        number[i], end[i] = state[sequence.LAST], due
        accepted[i], lost_before[i] = possible[i], missing
        counters[sequence.RECEIVED] += 1
        counters[sequence.LOST] += missing
