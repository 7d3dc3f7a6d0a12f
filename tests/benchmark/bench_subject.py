"""Compare R² on the simulated subject and on recordings: on the same day, and after weeks of drift.

    export PYTHONPATH=tests/support:tests/support/live
    python tests/benchmark/bench_subject.py --seeds 8                       # simulated days
    python tests/benchmark/bench_subject.py --recorded ../shared/data/indy  # recorded days

Simulated: a Wiener filter at 20 ms of three minutes of open loop on day 0; R² on their last fifth, on another
session of that day, and on later days; then closed loop, 30 trials each: day 0, day 0 with the cursor 300 ms
late, and day 30. Recorded: a Wiener filter at 64 ms of each of some days; R² on its last fifth, and on every
day that is 20 to 130 days later. R² is of x, y, vx, vy.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
from in_process_loop import run_in_process
from numpy.typing import NDArray
from scored import session_r2

from rtdecode.calibrate.fitting.fit import fit_sessions
from rtdecode.cli.common import number, table
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session
from rtdecode.tools.simulator.experiment import SimulatedDay, open_loop_session

TRAINING_S, SCORED_S, TRIALS = 180.0, 60.0, 30
LATER = (3, 10, 30, 100)
TRAINING_DAYS = (7, 10, 13, 17)
DAYS_LATER = (20, 130)


def four(values: NDArray[np.float64]) -> str:
    return " ".join(f"{value:5.2f}" for value in values)


def simulated(n_seeds: int) -> None:
    """Print R² and closed-loop scores of simulated subjects."""
    rows, loops = [], []
    by_day: dict[str, list[NDArray[np.float64]]] = {}
    for seed in range(n_seeds):
        of = SimulatedDay(seed=seed)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "open.h5"
            write_session(path, open_loop_session(of, TRAINING_S))
            fit = fit_sessions([path], "wiener", 0.02)
        found = {
            "last fifth": fit.r2,
            "day 0": session_r2(fit.artifact, open_loop_session(replace(of, session=1), SCORED_S)),
        }
        for day in LATER:
            found[f"day {day}"] = session_r2(fit.artifact, open_loop_session(replace(of, day=day), SCORED_S))
        for name, values in found.items():
            by_day.setdefault(name, []).append(values)
        rows.append([str(seed), *(four(values) for values in found.values())])
        for name, day, late_s in (("day 0", 0, 0.0), ("300 ms late", 0, 0.3), ("day 30", 30, 0.0)):
            scores = run_in_process(
                replace(of, day=day, session=2), fit.artifact, trials=TRIALS, held_back_s=late_s
            ).scores
            loops.append(
                [
                    f"{seed}, {name}",
                    number(scores.success, 2),
                    number(scores.acquisition_time_s, 2),
                    number(scores.dial_in_time_s, 2),
                    number(scores.bits_per_s, 2),
                ]
            )
    rows.append(["median", *(four(np.median(values, axis=0)) for values in by_day.values())])
    print(table(["seed", *by_day], rows))
    print(table(["closed loop", "success", "acquisition, s", "dial-in, s", "bits/s"], loops))


def recorded(folder: Path) -> None:
    """Print R² of recorded days."""
    paths = sorted(folder.glob("indy_*.h5"))
    rows, later = [], []
    for i in TRAINING_DAYS:
        fit = fit_sessions([paths[i]], "wiener", 0.064)
        rows.append([f"{paths[i].stem}, last fifth", four(fit.r2)])
        for path in paths[i + 1 :]:
            days = (_day(path) - _day(paths[i])).days
            if DAYS_LATER[0] <= days <= DAYS_LATER[1]:
                later.append(session_r2(fit.artifact, read_session(path)))
    between = f"{DAYS_LATER[0]} to {DAYS_LATER[1]} days later, median of {len(later)} pairs"
    rows.append([between, four(np.median(later, axis=0))])
    print(table(["recorded", "   x     y    vx    vy"], rows))


def _day(path: Path) -> date:
    text = path.stem.split("_")[1]
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--recorded", type=Path, default=None)
    given = parser.parse_args()
    if given.recorded is not None:
        recorded(given.recorded)
    else:
        simulated(given.seeds)
