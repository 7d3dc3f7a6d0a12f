"""A simulated subject: it sees a cursor and a target, wants to move, and its units fire for that.

    subject = Subject(SubjectSettings(delay_s=0.1), array_on_day(ArraySettings(), seed=0, day=0), seed=0)
    subject.see(0.0, Seen(cursor=(3.0, -2.0), target=(80.0, 0.0), radius=15.0))
    time_s, channel = subject.step(20)                 # ticks of a millisecond

No clock and no streams: time is ticks since the start, and the same sights at the same times give the same
spikes, however many ticks are done in one step.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.tools.simulator.units import N_MOVEMENT, TICK_S, Firing

F8 = NDArray[np.float64]
Point = tuple[float, float]

#: Random numbers of a subject: its shared noise, and its spikes.
NOISE, SPIKES = 201, 202

#: Time constants of the shared fluctuations, seconds, one after the other.
NOISE_TAUS_S = (0.15, 1.0, 10.0)

#: Inside this part of the target's radius the subject holds still.
AT_REST = 0.5


@dataclass(frozen=True, kw_only=True)
class SubjectSettings:
    """How the subject moves.

    Attributes:
        delay_s: from what is on the screen to the first spikes that answer it.
        full_speed: mm/s, the most it wants.
        slowing_hz: nearer to the target than full_speed / slowing_hz it wants this times the distance.
        smoothing_s: time constant of each of two stages between wanting and moving.
        realign_s: with a cursor that is not its own hand, it comes to feel its hand where it sees the
            cursor, with this time constant.
        reach_mm: position is coded in parts of this.
        arm_mm: from the middle, the hand goes no further on each axis.
        centre_mm: the middle, where the hand begins.
    """

    delay_s: float = 0.1
    full_speed: float = 250.0
    slowing_hz: float = 2.5
    smoothing_s: float = 0.04
    realign_s: float = 1.0
    reach_mm: float = 80.0
    arm_mm: float = 160.0
    centre_mm: Point = (0.0, 0.0)

    def __post_init__(self) -> None:
        if not 0 <= self.delay_s <= 10:
            raise RtdecodeError(
                f"must lie between 0 and 10000 milliseconds, not {1e3 * self.delay_s:g}", where="--delay"
            )


class Seen(NamedTuple):
    """What is on the screen, mm.

    Attributes:
        cursor: None where none is shown.
        target: None where none is shown.
        radius: of the target.
    """

    cursor: Point | None
    target: Point | None
    radius: float


NOTHING = Seen(None, None, 0.0)


class Units(Protocol):
    """What fires for a movement: units with a tuning (`units.Tuning`), or others (`generator.py`).

    Attributes:
        n_channels: C.
        n_noise: K, shared fluctuations that it takes.
    """

    @property
    def n_channels(self) -> int: ...

    @property
    def n_noise(self) -> int: ...

    def rates_hz(self, drive: F8) -> F8:
        """Firing rates f8[T, C] of the next T ticks, from what drives them f8[T, 5 + K] (`Subject.move`).

        Asked once for each tick, in order, in any portions, whose sizes must make no difference.
        """
        ...


class Subject:
    """A subject and its array.

    Wants to move from where it sees the cursor straight to the target, slower near it, and not at all inside
    it. What it wants, smoothed, moves its hand, and its units fire for the velocity, position and speed of
    that. Where no cursor is told apart from it, the hand is what steers: the subject knows where that is
    without delay, and only the target has to be seen.

    Args:
        settings: of the movement.
        units: its array, of which it is the only one to ask.
        seed: of noise and spikes.
        own_hand: the cursor is the hand (open loop).

    Attributes:
        tick: ticks done.
        hand: f8[2], mm. velocity: f8[2], mm/s, as wanted and smoothed.
    """

    def __init__(self, settings: SubjectSettings, units: Units, seed: int, *, own_hand: bool = False) -> None:
        self.settings, self._units = settings, units
        self.tick = 0
        self._own_hand = own_hand
        self._firing = Firing(units.n_channels, int(np.random.default_rng([seed, SPIKES]).integers(1 << 62)))
        self._rng = np.random.default_rng([seed, NOISE])
        self._noise: F8 = self._rng.standard_normal((units.n_noise,))
        taus: F8 = np.resize(np.array(NOISE_TAUS_S), self._noise.shape)
        self._kept = np.exp(-TICK_S / taus)
        self._fresh = np.sqrt(1.0 - self._kept**2)
        self._sights: deque[tuple[float, Seen]] = deque()
        self._seen = NOTHING
        # x and y of the hand, of its velocity, and of the stage before that.
        self._state = (*settings.centre_mm, 0.0, 0.0, 0.0, 0.0)

    @property
    def hand(self) -> Point:
        """Where it feels its hand, mm."""
        return self._state[0], self._state[1]

    @property
    def velocity(self) -> Point:
        """Of the hand, as wanted and smoothed, mm/s."""
        return self._state[2], self._state[3]

    def see(self, time_s: float, seen: Seen) -> None:
        """Show something from `time_s` on, seconds since tick 0; never before what was shown last."""
        self._sights.append((time_s + self.settings.delay_s, seen))

    def step(self, n_ticks: int) -> tuple[F8, NDArray[np.uint16]]:
        """Live on for some ticks.

        Returns:
            Spike times f8[n], seconds since tick 0, rising, and channels u2[n].
        """
        return self.fire(self.move(n_ticks))

    def move(self, n_ticks: int) -> F8:
        """Move on for some ticks.

        Returns:
            What drives the units, f8[n_ticks, 5 + K]: after each tick vx and vy in parts of full speed, x and
            y from the centre in parts of the reach, speed in parts of full speed; then the shared noise, SD.
        """
        full, reach, (cx, cy) = self.settings.full_speed, self.settings.reach_mm, self.settings.centre_mm
        drive = np.empty((n_ticks, N_MOVEMENT + len(self._noise)))
        fresh = self._rng.standard_normal((n_ticks, len(self._noise))) * self._fresh
        for i in range(n_ticks):
            x, y, vx, vy = self._move_on((self.tick + i) * TICK_S)
            self._noise = self._noise * self._kept + fresh[i]
            drive[i, :N_MOVEMENT] = (
                vx / full,
                vy / full,
                (x - cx) / reach,
                (y - cy) / reach,
                math.hypot(vx, vy) / full,
            )
            drive[i, N_MOVEMENT:] = self._noise
        self.tick += n_ticks
        return drive

    def fire(self, drive: F8) -> tuple[F8, NDArray[np.uint16]]:
        """Fire for what `move` returned; every tick once, in order, in any portions."""
        return self._firing.step(self._units.rates_hz(drive))

    def _move_on(self, now_s: float) -> tuple[float, float, float, float]:
        settings = self.settings
        # Half a tick of slack: sights come at whole ticks, and sums of seconds are not exact.
        while self._sights and self._sights[0][0] <= now_s + 0.5 * TICK_S:
            self._seen = self._sights.popleft()[1]
        x, y, vx, vy, ux, uy = self._state
        cursor = (x, y) if self._own_hand else self._seen.cursor
        wx, wy = self._wanted(cursor)
        a = TICK_S / settings.smoothing_s
        ux, uy = ux + a * (wx - ux), uy + a * (wy - uy)
        vx, vy = vx + a * (ux - vx), vy + a * (uy - vy)
        x, y = x + vx * TICK_S, y + vy * TICK_S
        if cursor is not None and not self._own_hand:
            b = TICK_S / settings.realign_s
            x, y = x + b * (cursor[0] - x), y + b * (cursor[1] - y)
        far, (cx, cy) = settings.arm_mm, settings.centre_mm
        x, y = min(max(x, cx - far), cx + far), min(max(y, cy - far), cy + far)
        self._state = x, y, vx, vy, ux, uy
        return x, y, vx, vy

    def _wanted(self, cursor: Point | None) -> Point:
        """Towards the target, mm/s."""
        target = self._seen.target
        if cursor is None or target is None:
            return 0.0, 0.0
        dx, dy = target[0] - cursor[0], target[1] - cursor[1]
        distance = math.hypot(dx, dy)
        if distance <= AT_REST * self._seen.radius:
            return 0.0, 0.0
        speed = min(self.settings.full_speed, self.settings.slowing_hz * distance)
        return speed * dx / distance, speed * dy / distance
