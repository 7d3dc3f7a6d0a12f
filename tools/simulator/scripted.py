"""Sessions of an arm that moves by a script, for tests and benchmarks that need exact ground truth.

The arm reaches from the centre to one of eight targets and back along minimum-jerk paths; units (`units.py`)
fire with b + m·cos(angle to their preferred direction)·speed plus a weaker position term, as Georgopoulos et
al. (1982) and Wang et al. (2007) found in motor cortex. A subject with visual feedback and a realistic array
are in `experiment.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtdecode.kernels.arrays import F8
from rtdecode.session.layout import Behavior, Events, Session, Trials
from rtdecode.tools.simulator.subject import HAND
from rtdecode.tools.simulator.units import N_MOVEMENT, TICK_S, Firing, Tuning

N_TARGETS = 8
BEHAVIOR_HZ = 100.0

#: Ticks per call of the units.
PORTION = 1000


@dataclass(frozen=True, kw_only=True)
class CentreOut:
    """The task and the array.

    Attributes:
        n_channels: number of channels, with one unit each.
        reach_mm: distance of the targets, mm.
        movement_s, hold_s: duration of a reach and of the pause after it, s.
        mean_rate_hz: mean rate over the array, Hz.
    """

    n_channels: int = 64
    reach_mm: float = 80.0
    movement_s: float = 0.6
    hold_s: float = 0.25
    mean_rate_hz: float = 15.0


def draw_tuning(task: CentreOut, seed: int) -> Tuning:
    """Units of a simulated array; a third of them is not tuned."""
    rng = np.random.default_rng(seed)
    n = task.n_channels
    baseline = rng.gamma(2.0, task.mean_rate_hz / 2.0, n)
    depth = baseline * rng.uniform(0.2, 1.0, n) * (rng.uniform(size=n) > 1 / 3)
    direction, bearing = rng.uniform(0, 2 * np.pi, (2, n))
    velocity = depth[:, None] * np.stack((np.cos(direction), np.sin(direction)), axis=1)
    position = 0.5 * depth[:, None] * np.stack((np.cos(bearing), np.sin(bearing)), axis=1)
    return Tuning.plain(baseline, velocity, position)


def simulate_session(task: CentreOut, tuning: Tuning, duration_s: float, seed: int, name: str) -> Session:
    """One session of reaches to random targets.

    Args:
        task, tuning: of the array.
        duration_s: duration, s.
        seed: of targets and spikes.
        name: session_id.

    Returns:
        A session with events, behaviour (x, y in mm, vx, vy in mm/s) and trials.
    """
    rng = np.random.default_rng(seed)
    n_steps = round(duration_s / TICK_S)
    position, trials = _reaches(task, n_steps, rng)
    velocity = np.gradient(position, TICK_S, axis=0)
    peak = 1.875 * task.reach_mm / task.movement_s
    drive = np.zeros((n_steps, N_MOVEMENT))
    drive[:, :2], drive[:, 2:4] = velocity / peak, position / task.reach_mm
    # The shortest possible dead time, so that rates are those of the tuning.
    firing = Firing(task.n_channels, int(rng.integers(1 << 62)), TICK_S)
    fired = [firing.step(tuning.rates_hz(drive[i : i + PORTION])) for i in range(0, n_steps, PORTION)]
    time, channel = (np.concatenate(part) for part in zip(*fired, strict=True))
    every = round(1.0 / BEHAVIOR_HZ / TICK_S)
    values = np.concatenate((position, velocity), axis=1)[every - 1 :: every].astype(np.float32)
    return Session(
        n_channels=task.n_channels,
        events=Events(time, channel),
        behavior=Behavior(
            (np.arange(len(values)) + 1) / BEHAVIOR_HZ, values, tuple(HAND), tuple(HAND.values())
        ),
        trials=trials,
        attrs={
            "session_id": name,
            "task": "simulated centre-out",
            "subject": "simulated",
            "source": f"rtdecode simulation, seed {seed}",
        },
    )


def _reaches(task: CentreOut, n_steps: int, rng: np.random.Generator) -> tuple[F8, Trials]:
    """Positions of reaches to random targets and back, f8[n_steps, 2] in mm, and the trials."""
    moving, holding = round(task.movement_s / TICK_S), round(task.hold_s / TICK_S)
    tau = (np.arange(moving) + 1) / moving
    # Minimum jerk (Flash and Hogan, 1985).
    profile = 10 * tau**3 - 15 * tau**4 + 6 * tau**5
    leg = np.concatenate((profile, np.ones(holding)))
    n_trials = -(-n_steps // (2 * len(leg)))
    angle = rng.integers(0, N_TARGETS, n_trials) * 2 * np.pi / N_TARGETS
    target = task.reach_mm * np.stack((np.cos(angle), np.sin(angle)), axis=1)
    there_and_back = np.concatenate((leg, 1.0 - leg))
    position = (there_and_back[None, :, None] * target[:, None, :]).reshape(-1, 2)[:n_steps]
    start = (np.arange(n_trials) * len(there_and_back) * TICK_S).astype(np.float64)
    stop = start + len(leg) * TICK_S
    kept = stop <= n_steps * TICK_S
    columns = {"target": target[kept].astype(np.float32)}
    return position, Trials(start[kept], stop[kept], columns)
