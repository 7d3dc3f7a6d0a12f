"""Times that begin anew in each trial are told from times that are only unsorted."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from rtdecode.session.doctor.order import find_restarts
from rtdecode.session.read import read_session

RNG = np.random.default_rng(5)
UNIT = RNG.integers(0, 4, 8000)
RISING = np.sort(RNG.uniform(0, 400, 8000))


def halves_swapped(time: np.ndarray) -> np.ndarray:
    return np.concatenate((time[4000:], time[:4000]))


@pytest.mark.parametrize(
    ("time", "unit", "trials"),
    [
        (RISING, UNIT, None),
        (RISING[np.argsort(UNIT, kind="stable")], np.sort(UNIT), None),
        (halves_swapped(RISING), UNIT, False),
        (RISING[np.argsort(UNIT, kind="stable")], np.sort(UNIT) // 2, False),
        (RISING % 5.0, UNIT, True),
        ((RISING % 5.0)[np.argsort(UNIT, kind="stable")], np.sort(UNIT), True),
        (RISING + RNG.normal(0, 1e-3, 8000), np.zeros(8000, int), False),
    ],
    ids=["rising", "by unit", "halves swapped", "two units a channel", "trials", "trials by unit", "jitter"],
)
def test_trials_are_told_from_other_orders(time: np.ndarray, unit: np.ndarray, trials: bool | None) -> None:
    found = find_restarts(time, unit)
    assert (None if found is None else found.are_trials) == trials
    if found is not None:
        of = time[unit == found.unit]
        assert (of[found.spike - 1], of[found.spike]) == (found.before_s, found.after_s)
        assert found.after_s < found.before_s


def test_a_session_in_trial_time_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    with h5py.File(path, "w") as file:
        file.attrs.update(format="rtdecode-session", format_version=1, n_channels=4)
        file["events/time"], file["events/channel"] = RISING % 5.0, UNIT
    assert any(
        "these look like times since the start of a trial" in note for note in read_session(path).notes
    )
