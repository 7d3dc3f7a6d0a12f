"""How simulated spikes compare with recorded ones, channel by channel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def sample_counts(rates: NDArray[np.floating[Any]], seed: int, count_max: int = 255) -> NDArray[np.uint8]:
    """Spikes drawn from rates: independent Poisson counts.

    Args:
        rates: f[T, C], spikes per bin, 0 or more.
        seed: of the draws; the same rates and seed give the same counts.
        count_max: larger draws are clipped to it, up to 255.

    Returns:
        u1[T, C].
    """
    drawn = np.random.default_rng(seed).poisson(rates.astype(np.float64))
    return np.minimum(drawn, count_max).astype(np.uint8)


def firing_fraction(counts: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Part of the bins in which each channel fired, f8[C]: the paper's equation 20.

    Args:
        counts: [T, C], spikes per bin, of one bin or more.
    """
    fraction: NDArray[np.float64] = (counts >= 1).mean(axis=0, dtype=np.float64)
    return fraction
