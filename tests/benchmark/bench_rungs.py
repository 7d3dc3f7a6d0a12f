"""R² of each rung of `calibrate` on unseen days, by minutes of labels.

python tests/benchmark/bench_rungs.py SESSION… --base BASE [--base …] [--minutes 0,0.5,1,2,4] [--rungs …]

Each session's last fifth is decoded, after a calibration to the minutes before it, as if the session had
started then (0: the last 4 minutes before it, without labels). Prints mean R² over outputs and sessions and
the duration of a calibration, mean and SD over bases.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from rtdecode.artifact import ModelArtifact, read_artifact
from rtdecode.calibrate.adaptation.ladder import RUNGS, take_rung
from rtdecode.calibrate.adaptation.session import calibration_session
from rtdecode.calibrate.data.metrics import r2
from rtdecode.calibrate.data.split_session import SplitSession
from rtdecode.calibrate.run import Run
from rtdecode.decode.load import load_decoder
from rtdecode.session.read import read_session

UNLABELLED_MIN = 4.0


def from_minutes(today: SplitSession, minutes: float) -> SplitSession:
    """The session as if it had started `minutes` before its last fifth, without that fifth."""
    n = round(60.0 * (minutes or UNLABELLED_MIN) / today.bin_width_s)
    bins = slice(max(0, today.end - n), today.end)
    learnt = today.training[bins] if minutes else np.zeros(bins.stop - bins.start, np.bool_)
    return replace(
        today,
        counts=today.counts[bins],
        targets=today.targets[bins],
        training=learnt,
        test=np.zeros_like(learnt),
    )


def reached(base: ModelArtifact, today: SplitSession, minutes: float, rung: str) -> tuple[float, float]:
    """Mean R² of the last fifth, and seconds."""
    started = time.perf_counter()
    taken = take_rung(rung, base, from_minutes(today, minutes), Run(device="cpu"))
    seconds = time.perf_counter() - started
    values = np.empty(today.targets.shape, np.float32)
    load_decoder(taken.artifact).run(today.counts, values)
    return float(r2(values[today.test], today.targets[today.test]).mean()), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sessions", nargs="+", type=Path)
    parser.add_argument("--base", action="append", required=True, type=Path)
    parser.add_argument("--minutes", default="0,0.5,1,2,4")
    parser.add_argument("--rungs", default="unsup,readout,readin,full")
    parser.add_argument("--output", type=Path, help="every run, as JSON lines")
    given = parser.parse_args()
    minutes = [float(each) for each in given.minutes.split(",")]
    rungs = given.rungs.split(",")
    assert set(rungs) <= set(RUNGS)
    bases = [read_artifact(path) for path in given.base]
    rows = []
    for m in minutes:
        for rung in rungs if m else ["unsup"]:
            found = np.zeros((len(bases), len(given.sessions), 2))
            for i, base in enumerate(bases):
                for j, path in enumerate(given.sessions):
                    found[i, j] = reached(base, calibration_session(read_session(path), base), m, rung)
                    row = {"base": base.model_id, "session": path.stem, "minutes": m, "rung": rung}
                    rows.append(row | {"r2": found[i, j, 0], "seconds": found[i, j, 1]})
            by_base = found[..., 0].mean(axis=1)
            sd = f" ± {by_base.std(ddof=1):.3f}" if len(bases) > 1 else ""
            worst, took_s = found[..., 0].min(), found[..., 1]
            print(f"{m:4g} min  {rung:8} {by_base.mean():.3f}{sd}  worst session {worst:.3f}  ", end="")
            print(f"{took_s.mean():5.1f} s, at most {took_s.max():.1f}", flush=True)
    if given.output is not None:
        given.output.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
