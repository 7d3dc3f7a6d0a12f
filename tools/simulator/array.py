"""A simulated electrode array in motor cortex, and its drift from day to day.

    tuning = array_on_day(ArraySettings(n_channels=64), seed=0, day=30)

Rates are distributed as over the 96 channels of the 23 recorded days of monkey Indy: log-normal, median 10
Hz, a few channels dead. Direction and depth of tuning follow Georgopoulos et al. (1982), position and speed
Wang et al. (2007) and Moran and Schwartz (1999).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.kernels.arrays import F8, Mask
from rtdecode.tools.ranges import check_range
from rtdecode.tools.simulator.units import Tuning

#: Seed keys of the first day of an array, and of each later one.
FIRST_DAY, LATER_DAY = 101, 102

MAX_DAY = 3650


@dataclass(frozen=True, kw_only=True)
class ArraySettings:
    """Settings of an array and of its drift per day. Fractions are from 0 to 1.

    Attributes:
        n_channels: number of channels, with one unit each.
        median_rate_hz, rate_log_sd: log-normal distribution of baselines: median, Hz, and SD of the natural
            logarithm.
        highest_rate_hz: upper limit of baselines, Hz.
        dead: fraction of channels that record nothing.
        untuned, weak: fractions of units without tuning, and with a quarter of the usual depth.
        depth: largest increase of a tuned unit's rate at full speed, relative to its baseline.
        position, speed: depth of the tuning to position and to speed, relative to that to velocity.
        exponential: fraction of units that are log-linear; the others are rectified.
        n_noise, noise: number of shared fluctuations, and the SD that each adds to a unit, relative to its
            baseline.
        turn_deg: SD of the daily change of a preferred direction, degrees.
        regain: SD of the daily change of a depth, in natural logarithm.
        rate_memory_days: time constant of the decay of a baseline to a new one, days.
        replaced: fraction of channels that record another unit on the next day.
    """

    n_channels: int = 64
    median_rate_hz: float = 10.4
    rate_log_sd: float = 0.85
    highest_rate_hz: float = 60.0
    dead: float = 0.06
    untuned: float = 0.2
    weak: float = 0.3
    depth: float = 2.0
    position: float = 0.3
    speed: float = 0.3
    exponential: float = 0.5
    n_noise: int = 3
    noise: float = 0.16
    turn_deg: float = 4.0
    regain: float = 0.03
    rate_memory_days: float = 60.0
    replaced: float = 0.015

    def __post_init__(self) -> None:
        n = self.n_channels
        check_range("--channels", 1 <= n <= 65_535, "between 1 and 65535", n)


def array_on_day(settings: ArraySettings, seed: int, day: int) -> Tuning:
    """The units that the array of a seed records on a day, 0 to 3650.

    Day 0 is drawn from the seed, and each later day changes the day before (`next_day`) with a generator of
    its own.

    Raises:
        RtdecodeError: the day is out of range.
    """
    check_range("--day", 0 <= day <= MAX_DAY, f"between 0 and {MAX_DAY}", day)
    tuning = draw_array(settings, np.random.default_rng([seed, FIRST_DAY]))
    for later in range(1, day + 1):
        tuning = next_day(settings, tuning, np.random.default_rng([seed, LATER_DAY, later]))
    return tuning


def draw_array(settings: ArraySettings, rng: np.random.Generator) -> Tuning:
    """Draw an array of new units."""
    n = settings.n_channels
    kind = rng.uniform(size=n)
    baseline = _baseline(settings, settings.rate_log_sd * rng.standard_normal(n))
    baseline[rng.uniform(size=n) < settings.dead] = 0.0
    depth = settings.depth * rng.uniform(0.3, 1.0, n)
    depth[kind < settings.untuned + settings.weak] *= 0.25
    depth[kind < settings.untuned] = 0.0
    # In Hz from here on.
    depth *= baseline
    heading, bearing = rng.uniform(0.0, 2 * np.pi, (2, n))
    return Tuning(
        baseline=baseline,
        velocity=depth[:, np.newaxis] * _direction(heading),
        position=(settings.position * depth * rng.uniform(0.0, 2.0, n))[:, np.newaxis] * _direction(bearing),
        speed=settings.speed * depth * rng.standard_normal(n),
        noise=settings.noise * baseline[:, np.newaxis] * rng.standard_normal((n, settings.n_noise)),
        exponential=rng.uniform(size=n) < settings.exponential,
    )


def next_day(settings: ArraySettings, tuning: Tuning, rng: np.random.Generator) -> Tuning:
    """The array a day later.

    Preferred directions turn, depths and baselines change, and some channels record another unit. Baselines
    follow a mean-reverting process with the time constant `rate_memory_days`, so their distribution is
    constant.
    """
    n = settings.n_channels
    turn = np.radians(settings.turn_deg) * rng.standard_normal((2, n))
    gain = np.exp(settings.regain * rng.standard_normal(n))
    kept = np.exp(-1.0 / settings.rate_memory_days)
    step = np.sqrt(1.0 - kept**2) * settings.rate_log_sd * rng.standard_normal(n)
    alive = tuning.baseline > 0
    level = np.log(np.where(alive, tuning.baseline, 1.0) / settings.median_rate_hz)
    baseline = np.where(alive, _baseline(settings, kept * level + step), 0.0)
    # All modulation of a unit is relative to its baseline.
    scale = np.where(alive, baseline / np.where(alive, tuning.baseline, 1.0), 0.0)
    depth = gain * scale
    changed = replace(
        tuning,
        baseline=baseline,
        velocity=_turned(tuning.velocity, turn[0]) * depth[:, np.newaxis],
        position=_turned(tuning.position, turn[1]) * depth[:, np.newaxis],
        speed=tuning.speed * depth,
        noise=tuning.noise * scale[:, np.newaxis],
    )
    other, new = draw_array(settings, rng), rng.uniform(size=n) < settings.replaced
    parts = [field.name for field in fields(Tuning)]
    return Tuning(**{part: _chosen(new, getattr(other, part), getattr(changed, part)) for part in parts})


def _baseline(settings: ArraySettings, level: F8) -> F8:
    """Baseline, Hz, from its natural logarithm relative to the median."""
    return np.minimum(settings.median_rate_hz * np.exp(level), settings.highest_rate_hz)


def _chosen(first: Mask, one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Rows of `one` where `first`, else of `other`."""
    return np.where(first.reshape(-1, *(1,) * (one.ndim - 1)), one, other)


def _direction(angle: F8) -> F8:
    return np.stack((np.cos(angle), np.sin(angle)), axis=1)


def _turned(vectors: F8, angle: F8) -> F8:
    cosine, sine = np.cos(angle), np.sin(angle)
    x, y = vectors.T
    return np.stack((cosine * x - sine * y, sine * x + cosine * y), axis=1)
