"""A simulated subject: it sees a cursor and a target, intends a movement, and its units encode it.

    subject = Subject(SubjectSettings(delay_s=0.1), array_on_day(ArraySettings(), seed=0, day=0), seed=0)
    subject.see(0.0, Seen(cursor=(3.0, -2.0), target=(80.0, 0.0), radius=15.0))
    time_s, channel = subject.fire(subject.move(20))   # ticks of a millisecond

There is no clock and there are no streams: time is ticks since the start, and the same input at the same
times gives the same spikes, for any number of ticks per step.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from rtdecode.kernels.arrays import F8, U2
from rtdecode.tools.ranges import check_range
from rtdecode.tools.simulator.units import N_MOVEMENT, TICK_S, Firing

Point = tuple[float, float]

#: Behaviour of the simulated hand, with units.
HAND = {"x": "mm", "y": "mm", "vx": "mm/s", "vy": "mm/s"}

#: Seed keys of the shared noise and of the spikes.
NOISE, SPIKES = 201, 202

#: Time constants of the shared fluctuations, s.
NOISE_TAUS_S = (0.15, 1.0, 10.0)

#: Within this fraction of the target's radius the intended velocity is 0.
AT_REST = 0.5


@dataclass(frozen=True, kw_only=True)
class SubjectSettings:
    """Settings of the movement.

    Attributes:
        delay_s: from a change on the screen to the first spikes that respond to it, s.
        full_speed: largest intended speed, mm/s.
        slowing_hz: within full_speed / slowing_hz of the target, the intended speed is the distance times
            this.
        smoothing_s: time constant of each of two low-pass stages between intended and actual velocity, s.
        realign_s: time constant with which the felt hand position follows a cursor that is not the hand, s.
        reach_mm: unit of the encoded position, mm.
        arm_mm: largest distance of the hand from the centre on each axis, mm.
        centre_mm: centre of the screen, where the hand starts, mm.
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
        delay_s = self.delay_s
        check_range("--delay", 0 <= delay_s <= 10, "between 0 and 10000 ms", 1e3 * delay_s)


class Seen(NamedTuple):
    """The screen, mm.

    Attributes:
        cursor: None if none is shown.
        target: None if none is shown.
        radius: of the target.
    """

    cursor: Point | None
    target: Point | None
    radius: float


class Units(Protocol):
    """Units that encode a movement: with a tuning (`units.Tuning`), or by a model (`generator.py`).

    Attributes:
        n_channels: C.
        n_noise: K, number of shared fluctuations.
    """

    @property
    def n_channels(self) -> int: ...

    @property
    def n_noise(self) -> int: ...

    def rates_hz(self, drive: F8) -> F8:
        """Firing rates f8[T, C] of the next T ticks, Hz, for a drive f8[T, 5 + K] (`Subject.move`).

        Called once for each tick, in order, in portions of any size, which must not affect the result.
        """
        ...


class Subject:
    """A subject and its array.

    The intended velocity points from the seen cursor straight to the target, is lower near it and 0 inside
    it. Smoothed, it moves the hand, and the units encode velocity, position and speed of the hand. In open
    loop the cursor is the hand: its position is available without delay, and only the target has to be seen.

    Args:
        settings: of the movement.
        units: its array, used by this subject only.
        seed: of noise and spikes.
        own_hand: True if the cursor is the hand (open loop).

    Attributes:
        tick: simulated ticks so far.
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
        self._innovation = np.sqrt(1.0 - self._kept**2)
        self._screens: deque[tuple[float, Seen]] = deque()
        self._seen = Seen(None, None, 0.0)
        # x and y of the hand, of its velocity, and of the stage before that.
        self._state = (*settings.centre_mm, 0.0, 0.0, 0.0, 0.0)

    @property
    def hand(self) -> Point:
        """Felt position of the hand, mm."""
        return self._state[0], self._state[1]

    @property
    def velocity(self) -> Point:
        """Smoothed velocity of the hand, mm/s."""
        return self._state[2], self._state[3]

    def see(self, time_s: float, seen: Seen) -> None:
        """Show a screen from `time_s` on, seconds since tick 0; not before the previous one."""
        self._screens.append((time_s + self.settings.delay_s, seen))

    def move(self, n_ticks: int) -> F8:
        """Simulate the movement of some ticks.

        Returns:
            Drive of the units, f8[n_ticks, 5 + K]: after each tick vx, vy relative to full speed, x, y from
            the centre relative to the reach, speed relative to full speed; then the shared noise, SD.
        """
        full, reach, (cx, cy) = self.settings.full_speed, self.settings.reach_mm, self.settings.centre_mm
        drive = np.empty((n_ticks, N_MOVEMENT + len(self._noise)))
        innovation = self._rng.standard_normal((n_ticks, len(self._noise))) * self._innovation
        for i in range(n_ticks):
            x, y, vx, vy = self._move_on((self.tick + i) * TICK_S)
            self._noise = self._noise * self._kept + innovation[i]
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

    def fire(self, drive: F8) -> tuple[F8, U2]:
        """Spikes for the drive that `move` returned; every tick once, in order, in any portions.

        Returns:
            Times f8[n], seconds since tick 0, sorted, and channels u2[n].
        """
        return self._firing.step(self._units.rates_hz(drive))

    def _move_on(self, now_s: float) -> tuple[float, float, float, float]:
        settings = self.settings
        # Half a tick of tolerance: screens change at whole ticks, and sums of seconds are not exact.
        while self._screens and self._screens[0][0] <= now_s + 0.5 * TICK_S:
            self._seen = self._screens.popleft()[1]
        x, y, vx, vy, ux, uy = self._state
        cursor = (x, y) if self._own_hand else self._seen.cursor
        ix, iy = self._intended_velocity(cursor)
        a = TICK_S / settings.smoothing_s
        ux, uy = ux + a * (ix - ux), uy + a * (iy - uy)
        vx, vy = vx + a * (ux - vx), vy + a * (uy - vy)
        x, y = x + vx * TICK_S, y + vy * TICK_S
        if cursor is not None and not self._own_hand:
            b = TICK_S / settings.realign_s
            x, y = x + b * (cursor[0] - x), y + b * (cursor[1] - y)
        far, (cx, cy) = settings.arm_mm, settings.centre_mm
        x, y = min(max(x, cx - far), cx + far), min(max(y, cy - far), cy + far)
        self._state = x, y, vx, vy, ux, uy
        return x, y, vx, vy

    def _intended_velocity(self, cursor: Point | None) -> Point:
        """Velocity towards the target, mm/s."""
        target = self._seen.target
        if cursor is None or target is None:
            return 0.0, 0.0
        dx, dy = target[0] - cursor[0], target[1] - cursor[1]
        distance = math.hypot(dx, dy)
        if distance <= AT_REST * self._seen.radius:
            return 0.0, 0.0
        speed = min(self.settings.full_speed, self.settings.slowing_hz * distance)
        return speed * dx / distance, speed * dy / distance
