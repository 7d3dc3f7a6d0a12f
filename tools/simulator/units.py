"""Simulated units: their tuning, and spike trains with dead times at given rates.

    firing = Firing(n_channels=64, seed=0)
    time_s, channel = firing.step(tuning.rates_hz(drive))      # a row of rates per millisecond

The hazard is integrated in integers, so a spike train is bit-exact for any division of its ticks into calls.
Within a tick the time of a spike is continuous.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from rtdecode.kernels.arrays import F8, I8, U2, Mask

TICK_S = 0.001

#: A hazard of 1 in integer units, in which sums are exact.
HAZARD_UNIT = float(1 << 32)

#: Dead time after a spike.
REFRACTORY_S = 0.002

#: Upper limit of every rate.
MAX_RATE_HZ = 300.0

#: Upper limit of the exponent of a log-linear unit: its rate is at most e² times the baseline.
MAX_LOG_DRIVE = 2.0

#: Number of waiting times that are drawn together.
DRAWS = 64

#: Columns of the drive before those of the shared noise: vx, vy, x, y and speed.
N_MOVEMENT = 5


@dataclass(frozen=True, eq=False)
class Tuning:
    """The tuning of C units.

    The drive is a sum in Hz: velocity · v + position · p + speed · |v| + noise · z, with v relative to full
    speed and p relative to the reach. The rate of a rectified unit is max(0, baseline + drive), that of an
    exponential one baseline · exp(min(2, drive / baseline)).

    Attributes:
        baseline: f8[C], Hz.
        velocity, position: f8[C, 2], Hz.
        speed: f8[C], Hz.
        noise: f8[C, K], Hz for one SD of each shared fluctuation.
        exponential: bool[C].
    """

    baseline: F8
    velocity: F8
    position: F8
    speed: F8
    noise: F8
    exponential: Mask

    @classmethod
    def plain(cls, baseline: F8, velocity: F8, position: F8) -> Self:
        """Rectified units without tuning to speed and without shared fluctuations."""
        n = len(baseline)
        return cls(baseline, velocity, position, np.zeros(n), np.zeros((n, 0)), np.zeros(n, np.bool_))

    @property
    def n_channels(self) -> int:
        """C."""
        return len(self.baseline)

    @property
    def n_noise(self) -> int:
        """K."""
        return int(self.noise.shape[1])

    @cached_property
    def weights(self) -> F8:
        """f8[5 + K, C], Hz for each column of the drive: vx, vy, x, y, speed, noise."""
        columns = (self.velocity, self.position, self.speed[:, np.newaxis], self.noise)
        return np.ascontiguousarray(np.concatenate(columns, axis=1).T)

    def rates_hz(self, drive: F8) -> F8:
        """Firing rates of each tick, independent of other ticks.

        Args:
            drive: f8[T, 5 + K]: vx, vy, x, y and speed, relative to full speed and reach, then shared noise
                in SD.

        Returns:
            f8[T, C], from 0 to `MAX_RATE_HZ`.
        """
        # Column by column, since the sums of a matrix product depend on the number of ticks.
        total = np.zeros((len(drive), self.n_channels))
        for column, weight in zip(drive.T, self.weights, strict=True):
            total += column[:, np.newaxis] * weight
        baseline = self.baseline
        # A dead channel has neither baseline nor drive.
        power = np.exp(np.minimum(total / np.maximum(baseline, 1e-9), MAX_LOG_DRIVE))
        rate = np.where(self.exponential, baseline * power, baseline + total)
        return np.clip(rate, 0.0, MAX_RATE_HZ)


class Firing:
    """Poisson spike trains with a dead time after each spike.

    A unit fires when the integral of its rate since the end of the last dead time reaches a number drawn from
    the exponential distribution (time rescaling). Each channel has a generator of its own.

    Args:
        n_channels: C.
        seed: of the trains.
        refractory_s: dead time, at least one tick, s.

    Attributes:
        tick: simulated ticks so far.
    """

    def __init__(self, n_channels: int, seed: int, refractory_s: float = REFRACTORY_S) -> None:
        self.tick = 0
        self._seed, self._dead_ticks = seed, refractory_s / TICK_S
        self._drawn = np.zeros(n_channels, np.int64)
        self._waits = np.zeros((n_channels, DRAWS), np.int64)
        self._needed = self._draw(np.arange(n_channels))
        # End of the dead time: a tick, and a fraction of it.
        self._from_tick = np.zeros(n_channels, np.int64)
        self._from_part = np.zeros(n_channels)

    def step(self, rate_hz: F8) -> tuple[F8, U2]:
        """Simulate T ticks at rates f8[T, C], Hz.

        Returns:
            Times f8[n], seconds since tick 0, sorted, none after the end of the last tick; channels u2[n].
        """
        n_ticks, n_channels = rate_hz.shape
        first, self.tick = self.tick, self.tick + n_ticks
        hazard = np.rint(rate_hz * (TICK_S * HAZARD_UNIT)).astype(np.int64)
        before = np.zeros((n_channels, n_ticks + 1), np.int64)
        np.cumsum(hazard.T, axis=1, out=before[:, 1:])
        # All channels in one sorted array, each with an offset, so that one search serves them all.
        offset = int(before[:, -1].max(initial=0)) + 1
        line = (before + np.arange(n_channels)[:, np.newaxis] * offset).ravel()
        times, channels = [np.zeros(0)], [np.zeros(0, np.int64)]
        waiting = np.flatnonzero(self._from_tick < self.tick)
        while len(waiting):
            row = self._from_tick[waiting] - first
            gone = (self._from_part[waiting] * hazard[row, waiting]).astype(np.int64)
            base = before[waiting, row] + gone
            due = base + self._needed[waiting]
            fires = due <= before[waiting, -1]
            silent = waiting[~fires]
            self._needed[silent] -= before[silent, -1] - base[~fires]
            self._from_tick[silent], self._from_part[silent] = self.tick, 0.0
            waiting, due = waiting[fires], due[fires]
            if not len(waiting):
                break
            row = np.searchsorted(line, due + waiting * offset) - waiting * (n_ticks + 1) - 1
            part = (due - before[waiting, row]) / hazard[row, waiting]
            times.append((first + row + part) * TICK_S)
            channels.append(waiting)
            again = part + self._dead_ticks
            whole = np.floor(again)
            self._from_tick[waiting] = first + row + whole.astype(np.int64)
            self._from_part[waiting] = again - whole
            self._needed[waiting] = self._draw(waiting)
            waiting = waiting[self._from_tick[waiting] < self.tick]
        time, channel = np.concatenate(times), np.concatenate(channels)
        order = np.lexsort((channel, time))
        return time[order], channel[order].astype(np.uint16)

    def _draw(self, channels: I8) -> I8:
        """The next waiting time of each of these channels, in units of hazard."""
        for channel in channels[self._drawn[channels] % DRAWS == 0]:
            rng = np.random.default_rng([self._seed, int(channel), int(self._drawn[channel]) // DRAWS])
            waits = np.rint(rng.standard_exponential(DRAWS) * HAZARD_UNIT)
            self._waits[channel] = np.maximum(waits, 1.0).astype(np.int64)
        drawn: I8 = self._waits[channels, self._drawn[channels] % DRAWS]
        self._drawn[channels] += 1
        return drawn
