"""Equations 1 to 3 of the paper's preprocessing, on plain arrays.

    counts = counts_per_window(matrix, window_samples(30_000.0, 0.020))  # eq 2
    at_50_hz = resample_linear(joystick, len(counts))  # eq 1
    labels = smooth_gaussian(at_50_hz, 0.040, 0.020)  # eq 3

Session files carry time stamps, so for them `rtdecode.session.bins` does the first two: `behavior_at` is
eq 1 at any times, `bin_session` is eq 2 for events. The functions here are for series without stamps, whose
samples are evenly spaced. Smoothing is non-causal; it is for labels, never for a decoder's input.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError

TRUNCATE_SD = 4.0

#: Relative tolerance within which a bin is a whole number of samples.
WHOLE_SAMPLES = 1e-6


def resample_linear(values: NDArray[np.generic], n: int) -> NDArray[np.float64]:
    """Eq 1: a series of m evenly spaced samples as n, which keeps the first and the last.

    y[j] = (1 − α)·x[⌊p_j⌋] + α·x[⌈p_j⌉] with p_j = j·(m − 1)/(n − 1) and α = p_j − ⌊p_j⌋. p_j is split in
    whole numbers, so a sample at p_j is kept exactly. With n = 1 it is the first. A lower rate
    picks samples, without averaging: filter out frequencies above half the new rate first.

    Args:
        values: [m] or [m, d], numbers; NaN stays next to where it was.
        n: number of samples, 1 or more.

    Returns:
        f8[n] or f8[n, d].

    Raises:
        RtdecodeError: no samples, n below 1, or another shape.
    """
    if values.ndim not in (1, 2) or len(values) == 0:
        raise RtdecodeError(f"behaviour has shape {list(values.shape)}", fix="give one or more samples")
    if n < 1:
        raise RtdecodeError(f"the number of samples must be at least 1, got {n}", fix="give 1 or more")
    x = values.astype(np.float64)
    before, rest = np.divmod(np.arange(n, dtype=np.int64) * (len(x) - 1), max(n - 1, 1))
    alpha = (rest / max(n - 1, 1)).reshape(-1, *[1] * (x.ndim - 1))
    resampled: NDArray[np.float64] = (1.0 - alpha) * x[before] + alpha * x[before + (rest > 0)]
    return resampled


def window_samples(rate_hz: float, bin_width_s: float) -> int:
    """I of eq 2: samples in a bin, 600 at 30 kHz and 20 ms.

    Raises:
        RtdecodeError: the bin does not hold a whole number of samples, or none.
    """
    samples = rate_hz * bin_width_s
    whole = round(samples) if math.isfinite(samples) else 0
    if whole < 1 or not math.isclose(samples, whole, rel_tol=WHOLE_SAMPLES):
        raise RtdecodeError(
            f"a bin of {bin_width_s:g} s at {rate_hz:g} Hz is {samples:g} samples, not a whole number",
            fix="choose another bin width, or make events of the spikes and bin those",
        )
    return whole


def counts_per_window(matrix: NDArray[np.integer | np.bool_], window: int) -> NDArray[np.int64]:
    """Eq 2: spikes in each window of I samples, P_k = Σ P[t] for t = k·I … (k + 1)·I − 1.

    Args:
        matrix: whole numbers or bool [T, C], spikes per sample and channel.
        window: I, samples, 1 or more.

    Returns:
        i8[⌊T/I⌋, C]; samples behind the last whole window are dropped.

    Raises:
        RtdecodeError: the window holds no sample, or the matrix is something else.
    """
    if matrix.ndim != 2 or matrix.dtype.kind not in "iub":
        raise RtdecodeError(
            f"the spike matrix is {matrix.dtype}{list(matrix.shape)}",
            fix="give whole numbers [samples, channels]",
        )
    if window < 1:
        raise RtdecodeError(f"the window must have at least 1 sample, got {window}", fix="give 1 or more")
    n_windows = len(matrix) // window
    blocks = matrix[: n_windows * window].reshape(n_windows, window, matrix.shape[1])
    counts: NDArray[np.int64] = blocks.sum(axis=1, dtype=np.int64)
    return counts


def gaussian_weights(sd_samples: float, half_width: int) -> NDArray[np.float64]:
    """Eq 3 at i = −k … k, scaled to a sum of 1: f8[2k + 1].

    Cut off and sampled, G[i] = exp(−i²/2σ²)/(√(2π)·σ) does not add up to 1, and would shrink what it smooths.
    """
    i = np.arange(-half_width, half_width + 1)
    weights = np.exp(-0.5 * (i / sd_samples) ** 2)
    normalised: NDArray[np.float64] = weights / weights.sum()
    return normalised


def smooth_gaussian(
    values: NDArray[np.floating], sd_s: float, sample_s: float, truncate_sd: float = TRUNCATE_SD
) -> NDArray[np.float64]:
    """Eq 3: each sample as the mean of its neighbours, weighted by a Gaussian that is cut off on both sides.

    It uses `truncate_sd`·σ of the future, so it is for the labels of recordings only. Where neighbours are
    unknown, before the first sample, after the last and in holes, the weights of the others are scaled to a
    sum of 1: a constant is unchanged up to the edge. A slope is flattened there, as half of the neighbours
    are missing. Unknown samples stay unknown.

    Args:
        values: f4 or f8 [T] or [T, d], each column by itself; NaN or infinite where unknown.
        sd_s: σ, seconds.
        sample_s: from one sample to the next, seconds.
        truncate_sd: k is this many σ, rounded to whole samples.

    Returns:
        f8 of the same shape, NaN where unknown.

    Raises:
        RtdecodeError: a width or interval that is not positive, or another shape.
    """
    for name, number in (("σ", sd_s), ("sample interval", sample_s), ("truncation", truncate_sd)):
        if not (math.isfinite(number) and number > 0):
            raise RtdecodeError(f"the smoothing has a {name} of {number}", fix="give a positive number")
    if values.ndim not in (1, 2):
        raise RtdecodeError(f"labels have shape {list(values.shape)}", fix="give [bins] or [bins, outputs]")
    out = np.full(values.shape, np.nan)
    if not values.size:
        return out
    n, sd_samples = len(values), sd_s / sample_s
    # Samples further away than the series is long do not exist.
    weights = gaussian_weights(sd_samples, int(min(truncate_sd * sd_samples + 0.5, n - 1)))
    columns, smoothed = values.reshape(n, -1), out.reshape(n, -1)
    for d in range(columns.shape[1]):
        finite = np.isfinite(columns[:, d])
        weighed = _around(np.where(finite, columns[:, d], 0.0).astype(np.float64), weights)
        smoothed[finite, d] = weighed[finite] / _around(finite.astype(np.float64), weights)[finite]
    return out


def _around(signal: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Σ_i weights[k + i]·signal[t + i], zeros around the signal."""
    half_width = len(weights) // 2
    return np.convolve(signal, weights)[half_width : half_width + len(signal)]
