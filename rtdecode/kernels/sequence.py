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
DROPPED_UNIT = 7
NOT_WHOLE = 8
UNMAPPED = 9
QUIET = 10
N_SEQUENCE_COUNTERS = 11

LAST = 0
STARTED = 1
OWED = 2
SEEN = 3
SINCE_GAP = 4

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


END = 0
JITTER = 1
PERIOD = 2
NOMINAL = 3

#: Samples of which the timing is known before the first: it starts with the nominal period, so that the
#: jitter of the first stamps is not taken for another one.
KNOWN_BEFORE = 8

#: Jitter that a regular stream is allowed before its own is measured: the first stamp has an error
#: too, so with ±0.3 p of jitter the second may be 0.6 p off. Four times this is 0.75 p.
START_JITTER_PERIODS = 0.1875

#: How fast the timing of a regular stream follows its stamps in the end: fractions of the error per sample
#: by which the expected time and the period change, those of a fading memory of 1/(1 - 0.95) samples.
TIME_GAIN = 1.0 - 0.95**2
PERIOD_GAIN = 0.05**2

#: A period is at most this much longer or shorter than the nominal one: 25 Hz instead of 50 are lost samples.
MOST_OFF = 0.25

#: Longest that bins wait for a jittering sample, periods; further off it belongs to another one.
MOST_JITTER = 0.5


@kernel
def start_timing(first_s: float, before: int, period_s: float, timing: F8, state: I8) -> None:
    """Start the timing of a regular stream, of which sample number `before` ends at `first_s`."""
    timing[END] = first_s - (before + 1) * period_s
    timing[JITTER] = START_JITTER_PERIODS * period_s
    timing[PERIOD] = timing[NOMINAL] = period_s
    state[STARTED] = 1
    state[SEEN] = state[SINCE_GAP] = KNOWN_BEFORE


@kernel
def place_sample(time: float, usable: int, timing: F8, state: I8) -> tuple[int, int]:
    """The number of the next sample of a regular stream, and how many were lost before it.

    LSL delivers in order, so samples are numbered one after another; a stamp that has moved further than
    half a period (or four times the source's own jitter) from the expected time is that of a sample after
    lost ones, or, backwards, of a sample out of order, which gets the number of its stamp. Time and period
    are estimated from the stamps by least squares over a memory that first grows and then fades (Brookner,
    Tracking and Kalman Filtering Made Easy, 1998, §1.2.10 and §1.2.6), because no source runs at exactly
    its nominal rate.

    Args:
        time: its stamp, the end of its interval.
        usable: 0 for a stamp that is not to be used: the sample keeps its place by its order.
        timing: f8[4], updated: estimated end of the last sample in order, running jitter, estimated and
            nominal period, s.
        state: i8[5], updated: the last number in order, and internals.
    """
    expected = state[LAST] + 1
    period_s = timing[PERIOD]
    due = timing[END] + period_s
    error = time - due if usable else 0.0
    tolerance = max(MOST_JITTER * period_s, 4.0 * timing[JITTER])
    if error <= tolerance:
        # A gap is no jitter; a sample back from a supposed gap is.
        timing[JITTER] += 0.05 * (min(abs(error), 10.0 * period_s) - timing[JITTER])
    if error > tolerance:
        missing = max(1, int(np.round(error / period_s)))
        state[OWED] += missing
        state[LAST] = expected + missing
        timing[END] = due + missing * period_s
        # The source may have paused, and then its later samples follow this one.
        state[SINCE_GAP] = KNOWN_BEFORE
        return state[LAST], missing
    if error < -tolerance:
        return expected + int(np.round(error / period_s)), 0
    state[LAST] = expected
    timing[END] = due
    if usable:
        k, m = state[SINCE_GAP], state[SEEN]
        timing[END] += max(2.0 * (2 * k - 1) / (k * (k + 1)), TIME_GAIN) * error
        followed = period_s + max(6.0 / (m * (m + 1)), PERIOD_GAIN) * error
        nominal = timing[NOMINAL]
        timing[PERIOD] = min(max(followed, (1 - MOST_OFF) * nominal), (1 + MOST_OFF) * nominal)
        state[SINCE_GAP] += 1
        state[SEEN] += 1
    return expected, 0


@kernel
def check_counts(
    samples: I4,
    n: int,
    possible: U1,
    timing: F8,
    state: I8,
    time: F8,
    counts: U1,
    index: I8,
    accepted: U1,
    lost_before: U4,
    end: F8,
    counters: I8,
) -> None:
    """Check and number a chunk of the `counts` layout: one row of counts per sample.

    Args:
        samples: i4[>=n, n_channels]; a negative count is counted as not a count and read as 0,
            one above 255 as 255.
        possible: u1[n], 0 for a stamp that is not to be used; the sample is not accepted.
        timing, state: as of `place_sample`.
        time: f8[n], event time of each sample (the end of its interval).
        counts, index, accepted, lost_before: written, per sample.
        end: f8[n], written: the estimated end of its interval; of a sample out of order, its stamp.
        counters: i8[N_SEQUENCE_COUNTERS].
    """
    n_channels = samples.shape[1]
    for i in range(n):
        counters[RECEIVED] += 1
        accepted[i] = possible[i]
        index[i], missing = place_sample(time[i], possible[i], timing, state)
        lost_before[i] = missing
        counters[LOST] += missing
        end[i] = timing[END]
        if index[i] < state[LAST]:
            # Its stamp decides its bin; binning treats it like any late event.
            end[i] = time[i]
            counters[OUT_OF_ORDER] += 1
            if state[OWED] > 0:
                state[OWED] -= 1
                counters[LOST] -= 1
        for c in range(n_channels):
            value = samples[i, c]
            if value < 0:
                counters[NOT_A_COUNT] += 1
                value = 0
            counts[i, c] = min(value, 255)


@kernel
def take_crossings(
    sample: I8,
    channel: I4,
    possible: U1,
    end: F8,
    lost_before: U4,
    n: int,
    lost: int,
    kept_sample: I8,
    kept_time: F8,
    kept_channel: I4,
    kept_lost: U4,
    counters: I8,
) -> tuple[int, int]:
    """Events that were found in the samples of a regular stream, as single spikes.

    A sample with several of them is counted as received as often, and one without any as quiet.

    Args:
        sample: i8[m], of each event, not decreasing.
        channel: i4[m], negative for one that is left out.
        possible: u1[>=n], 0 for a sample whose stamp is not to be used; its events are left out.
        end: f8[>=n], time of each sample, s.
        lost_before: u4[>=n], samples lost before each.
        n: number of samples.
        lost: samples lost since the last event.
        kept_sample, kept_time, kept_channel, kept_lost: written, per event that is kept; [>=m].
        counters: i8[N_SEQUENCE_COUNTERS].

    Returns:
        Number of events kept, and of samples lost since the last of them.
    """
    m = kept = 0
    for i in range(n):
        lost += lost_before[i]
        first = m
        while m < len(sample) and sample[m] == i:
            if possible[i] and channel[m] < 0:
                counters[UNMAPPED] += 1
            elif possible[i]:
                kept_sample[kept], kept_time[kept], kept_channel[kept] = i, end[i], channel[m]
                kept_lost[kept] = lost
                lost = 0
                kept += 1
            m += 1
        if possible[i] and m == first:
            counters[QUIET] += 1
        elif possible[i]:
            counters[RECEIVED] += m - first - 1
    return kept, lost
