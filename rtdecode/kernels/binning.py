"""Events and counts into bins: the watermark, late events, and the ring.

A ring holds `n_slots` bins; bin `b` lives in slot `b % n_slots`. `cursor` is i8[2]:
`cursor[OPEN]` is the bin that is open now (every earlier bin is closed for good) and
`cursor[NEXT]` the oldest closed bin that has not been taken yet. A slot is cleared when its bin
opens, never before the bin it held was taken.
"""

from __future__ import annotations

import numpy as np

from rtdecode.kernels.arrays import F8, I4, I8, U1, U4
from rtdecode.kernels.feature_bins import add_sample
from rtdecode.kernels.jit import kernel

OPEN = 0
NEXT = 1

LATE_CARRIED = 0
LATE_DROPPED = 1
FUTURE = 2
DISCARDED = 3
BINNED = 4
LATE_SAMPLES = 5
N_TIME_COUNTERS = 6


@kernel
def bin_index(t: float, origin: float, bin_width_s: float) -> int:
    """The bin that holds `t`: origin + k·Δ <= t < origin + (k+1)·Δ, edges computed in float64.

    The division alone can land one bin off when `t` is an edge, so the edges decide.
    """
    k = int(np.floor((t - origin) / bin_width_s))
    while t < origin + k * bin_width_s:
        k -= 1
    while t >= origin + (k + 1) * bin_width_s:
        k += 1
    return k


@kernel
def open_up_to(b: int, cursor: I8, ring: U1, spikes: U4, late: U4, lost: U4, fed_until: F8) -> bool:
    """Close every bin before `b` and open `b`; False if the ring is full before that.

    A full ring leaves the newest slot open: the caller takes the closed bins and calls again.
    """
    n_slots = ring.shape[0]
    while cursor[OPEN] < b:
        if cursor[OPEN] + 1 - cursor[NEXT] >= n_slots:
            return False
        cursor[OPEN] += 1
        slot = cursor[OPEN] % n_slots
        ring[slot, :] = 0
        spikes[slot] = 0
        late[slot] = 0
        lost[slot] = 0
        fed_until[slot] = -np.inf
    return True


@kernel
def keep(b: int, n: np.int64, carry: bool, cursor: I8, late: U4, counters: I8) -> bool:
    """Whether a sample of bin `b`, with `n` events, goes into the open bin; in an earlier bin it is late."""
    if b == cursor[OPEN]:
        counters[BINNED] += 1
        return True
    kept = carry and b == cursor[OPEN] - 1
    late[cursor[OPEN] % late.shape[0]] += n
    counters[LATE_CARRIED if kept else LATE_DROPPED] += n
    counters[BINNED if kept else LATE_SAMPLES] += 1
    return kept


@kernel
def bin_events(
    time: F8,
    channel: I4,
    accepted: U1,
    lost_before: U4,
    first: int,
    n: int,
    latest: float,
    carry: bool,
    not_before: float,
    origin: float,
    bin_width_s: float,
    cursor: I8,
    ring: U1,
    spikes: U4,
    late: U4,
    lost: U4,
    fed_until: F8,
    counters: I8,
) -> int:
    """Put events `first … n-1` into their bins; the first event at or past a bin's end closes it.

    Args:
        time, channel, accepted, lost_before: per event; `accepted` 0 is passed over, `lost_before`
            is the number of events lost right before it.
        latest: events stamped later are counted and neither binned nor allowed to move the watermark.
        carry: True adds an event that is one bin late to the open bin, False drops it.
        not_before: events stamped earlier are backlog from before the first bin: counted only.
        cursor, ring, spikes, late, lost, fed_until: the ring (module docstring).
        counters: i8[N_TIME_COUNTERS].

    Returns:
        `n`, or the index of the first event that needs a bin the full ring cannot open.
    """
    for i in range(first, n):
        if accepted[i]:
            t = time[i]
            # A comparison with NaN is false, so a NaN stamp is counted here.
            if not t <= latest:
                counters[FUTURE] += 1
            elif t < not_before:
                counters[DISCARDED] += 1
            else:
                b = bin_index(t, origin, bin_width_s)
                if not open_up_to(b, cursor, ring, spikes, late, lost, fed_until):
                    return i
                if keep(b, np.int64(1), carry, cursor, late, counters):
                    slot, c = cursor[OPEN] % ring.shape[0], channel[i]
                    if ring[slot, c] < 255:
                        ring[slot, c] += 1
                    spikes[slot] += 1
                    fed_until[slot] = max(fed_until[slot], t)
        lost[cursor[OPEN] % ring.shape[0]] += lost_before[i]
    return n


@kernel
def sample_bin(index: int, period_s: float, bin_width_s: float) -> int:
    """The bin of sample n of a counts stream, floor((n + 1/2)·p/Δ)."""
    return int(np.floor((index + 0.5) * period_s / bin_width_s))


@kernel
def sample_end(index: int, period_s: float, bin_width_s: float) -> float:
    """The end of sample n, in bins."""
    return (index + 1) * period_s / bin_width_s


@kernel
def place_samples(index: I8, period_s: float, bin_width_s: float, bins: I8, end: F8) -> None:
    """Write the bin of each sample and its end, in bins, into `bins` and `end`."""
    for i in range(index.shape[0]):
        bins[i] = sample_bin(index[i], period_s, bin_width_s)
        end[i] = sample_end(index[i], period_s, bin_width_s)


@kernel
def last_sample(b: int, period_s: float, bin_width_s: float) -> int:
    """The last sample of bin `b`, the inverse of `sample_bin`."""
    n = int(np.ceil((b + 1) * bin_width_s / period_s - 0.5)) - 1
    while sample_bin(n, period_s, bin_width_s) > b:
        n -= 1
    while sample_bin(n + 1, period_s, bin_width_s) <= b:
        n += 1
    return n


@kernel
def bin_counts(
    time: F8,
    counts: U1,
    index: I8,
    accepted: U1,
    lost_before: U4,
    first: int,
    n: int,
    latest: float,
    carry: bool,
    anchor_bin: int,
    period_s: float,
    bin_width_s: float,
    features: tuple[F8, U4, F8, U4, F8, F8] | None,
    cursor: I8,
    ring: U1,
    spikes: U4,
    late: U4,
    lost: U4,
    fed_until: F8,
    counters: I8,
) -> int:
    """Put count samples `first … n-1` into their bins; a bin closes when its last sample is in.

    Args:
        counts: u1[n, n_channels]; `index` is the sample's running number since the anchor,
            whose sample 0 opens bin `anchor_bin`; a negative index is backlog from before it.
        features: values f8[n, n_features] of the samples, and the slots of `FeatureBins`; a late sample
            is one event then. None for counts alone.
        Everything else as in `bin_events`.

    Returns:
        As in `bin_events`.
    """
    n_slots, n_channels = ring.shape
    for i in range(first, n):
        # What was lost before a sample counts in the sample's bin, even if the sample completes it.
        slot = cursor[OPEN] % n_slots
        if accepted[i]:
            if time[i] > latest:
                counters[FUTURE] += 1
            elif index[i] < 0:
                counters[DISCARDED] += 1
            else:
                b = anchor_bin + sample_bin(index[i], period_s, bin_width_s)
                if not open_up_to(b, cursor, ring, spikes, late, lost, fed_until):
                    return i
                slot = cursor[OPEN] % n_slots
                completes = anchor_bin + sample_bin(index[i] + 1, period_s, bin_width_s) > b
                if b == cursor[OPEN] and completes and b + 1 - cursor[NEXT] >= n_slots:
                    return i
                total = np.uint32(0)
                for c in range(n_channels):
                    total += counts[i, c]
                n_events = np.int64(total)
                if features is not None:
                    n_events = np.int64(1)
                if keep(b, n_events, carry, cursor, late, counters):
                    if features is not None:
                        values, n_samples, sums, known, newest, newest_end = features
                        ends = anchor_bin + sample_end(index[i], period_s, bin_width_s)
                        add_sample(values[i], ends, slot, n_samples, sums, known, newest, newest_end)
                    for c in range(n_channels):
                        ring[slot, c] = min(255, np.int64(ring[slot, c]) + counts[i, c])
                    spikes[slot] += total
                    fed_until[slot] = max(fed_until[slot], time[i])
                if b == cursor[OPEN] and completes:
                    open_up_to(b + 1, cursor, ring, spikes, late, lost, fed_until)
        lost[slot] += lost_before[i]
    return n
