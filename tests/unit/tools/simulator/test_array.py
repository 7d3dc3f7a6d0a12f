"""The simulated array has the rates of a real one, and its drift is reproducible."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.session.read import read_session
from rtdecode.tools.simulator.array import LATER_DAY, ArraySettings, array_on_day, next_day
from rtdecode.tools.simulator.units import Tuning

PARTS = ("baseline", "velocity", "position", "speed", "noise", "exponential")
WIDE = ArraySettings(n_channels=4000)

#: Prints the bytes of every part of an array.
PRINTED = """
from dataclasses import fields
from rtdecode.tools.simulator.array import ArraySettings, array_on_day
tuning = array_on_day(ArraySettings(n_channels=12), 7, 9)
print(*(getattr(tuning, field.name).tobytes().hex() for field in fields(tuning)))
"""


def same(one: Tuning, other: Tuning) -> bool:
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in PARTS)


def angle(vectors: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> np.ndarray:  # type: ignore[type-arg]
    return np.arctan2(vectors[:, 1], vectors[:, 0])


def test_a_day_is_the_same_however_it_is_reached() -> None:
    settings = ArraySettings(n_channels=32)
    straight = array_on_day(settings, 3, 12)
    step_by_step = array_on_day(settings, 3, 5)
    for day in range(6, 13):
        step_by_step = next_day(settings, step_by_step, np.random.default_rng([3, LATER_DAY, day]))
    assert same(straight, step_by_step)
    assert not same(straight, array_on_day(settings, 3, 11))
    assert not same(straight, array_on_day(settings, 4, 12))


def test_a_day_is_the_same_in_every_process() -> None:
    there = subprocess.run([sys.executable, "-c", PRINTED], capture_output=True, text=True, check=True)
    tuning = array_on_day(ArraySettings(n_channels=12), 7, 9)
    assert there.stdout.split() == [getattr(tuning, part).tobytes().hex() for part in PARTS]


def test_rates_are_distributed_as_in_recorded_days(data_dir) -> None:  # type: ignore[no-untyped-def]
    median, log_sd, dead = [], [], []
    for path in sorted((data_dir / "indy").glob("indy_*.h5")):
        counts = read_session(path).counts
        rate = counts.values.mean(axis=0) / counts.bin_width_s
        alive = rate > 0.1
        median.append(np.median(rate[alive]))
        log_sd.append(np.log(rate[alive]).std())
        dead.append(1 - alive.mean())
    assert len(median) == 23
    for day in (0, 100):
        baseline = array_on_day(WIDE, 0, day).baseline
        alive = baseline > 0
        level = np.log(baseline[alive])
        assert min(median) < np.exp(np.median(level)) < max(median)
        assert min(log_sd) < level.std() < max(log_sd)
        assert min(dead) < 1 - alive.mean() < max(dead)
    assert np.exp(np.median(np.log(median))) == pytest.approx(ArraySettings().median_rate_hz, rel=0.15)


def test_some_units_are_untuned_and_some_weak() -> None:
    tuning = array_on_day(WIDE, 1, 0)
    alive = tuning.baseline > 0
    depth = np.hypot(*tuning.velocity.T)[alive] / tuning.baseline[alive]
    untuned = depth == 0
    assert untuned.mean() == pytest.approx(WIDE.untuned, abs=0.03)
    weak = ~untuned & (depth < 0.25 * WIDE.depth)
    assert weak.mean() == pytest.approx(WIDE.weak, abs=0.03)
    assert (tuning.velocity[~alive] == 0).all()
    assert tuning.exponential.mean() == pytest.approx(WIDE.exponential, abs=0.03)
    # Directions are uniform.
    resultant = np.abs(np.exp(1j * angle(tuning.velocity[alive][~untuned])).mean())
    assert resultant < 0.05


def test_days_turn_directions_change_rates_and_replace_units() -> None:
    day = 20
    quiet = ArraySettings(n_channels=4000, replaced=0.0, dead=0.0)
    first, later = array_on_day(quiet, 5, 0), array_on_day(quiet, 5, day)
    tuned = np.hypot(*first.velocity.T) > 0
    turned = np.degrees(np.angle(np.exp(1j * (angle(later.velocity) - angle(first.velocity)))))[tuned]
    assert turned.std() == pytest.approx(quiet.turn_deg * np.sqrt(day), rel=0.05)
    assert abs(turned.mean()) < 1.5
    below = (first.baseline < 50) & (later.baseline < 50)
    kept = np.corrcoef(np.log(first.baseline[below]), np.log(later.baseline[below]))[0, 1]
    assert kept == pytest.approx(np.exp(-day / quiet.rate_memory_days), abs=0.06)
    # A change of baseline scales all modulation.
    depth = [np.hypot(*t.velocity.T)[tuned] / t.baseline[tuned] for t in (first, later)]
    change = np.log(depth[1] / depth[0])
    assert change.std() == pytest.approx(quiet.regain * np.sqrt(day), rel=0.05)

    settings = ArraySettings(n_channels=4000, turn_deg=0.0, regain=0.0, dead=0.0)
    first, later = array_on_day(settings, 5, 0), array_on_day(settings, 5, day)
    other = np.abs(np.angle(np.exp(1j * (angle(later.velocity) - angle(first.velocity))))) > 1e-6
    both = (np.hypot(*first.velocity.T) > 0) & (np.hypot(*later.velocity.T) > 0)
    replaced = 1 - (1 - settings.replaced) ** day
    # New units are tuned with the same probability; others do not change.
    expected = replaced * (1 - settings.untuned) / (1 - replaced * settings.untuned)
    assert other[both].mean() == pytest.approx(expected, abs=0.03)


def test_values_out_of_range_are_refused() -> None:
    with pytest.raises(RtdecodeError, match="--day: must be between 0 and 3650, not -1"):
        array_on_day(ArraySettings(), 0, -1)
    with pytest.raises(RtdecodeError, match="--channels: must be between 1 and 65535, not 0"):
        ArraySettings(n_channels=0)
