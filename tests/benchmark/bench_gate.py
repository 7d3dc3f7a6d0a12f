"""Decisions of the gate of `calibrate` on real days: as recorded, and changed so that it has to refuse.

python tests/benchmark/bench_gate.py SESSION… --base BASE [--minutes 5] [--rungs unsup,readout,readin,full]

A base is calibrated to each session's last minutes. "better in use" has a model in use that was already
calibrated to the same minutes by `full`. Prints the number of deployable models and the reasons for each rung
and case, and checks that no deployable model decodes the untouched last fifth worse than the one it replaces.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from rtdecode.artifact import ModelArtifact, read_artifact
from rtdecode.calibrate.adaptation.calibrate import Calibration, calibrate_session
from rtdecode.session.layout import Session
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session

Change = Callable[[Session], Session]


def last_minutes(session: Session, minutes: float) -> Session:
    assert session.counts is not None
    assert session.behavior is not None
    counts, behavior = session.counts, session.behavior
    n = min(len(counts.values), round(60 * minutes / counts.bin_width_s))
    t0_s = counts.t0_s + (len(counts.values) - n) * counts.bin_width_s
    kept = behavior.time > t0_s
    return replace(
        session,
        counts=replace(counts, values=counts.values[-n:], t0_s=t0_s),
        behavior=replace(behavior, time=behavior.time[kept], values=behavior.values[kept]),
        trials=None,
    )


def with_values(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    def changed(session: Session) -> Session:
        assert session.behavior is not None
        values = change(session.behavior.values).astype(np.float32)
        return replace(session, behavior=replace(session.behavior, values=values))

    return changed


def silent(session: Session) -> Session:
    assert session.counts is not None
    return replace(session, counts=replace(session.counts, values=np.zeros_like(session.counts.values)))


CASES: dict[str, Change] = {
    "as it is": lambda session: session,
    "better in use": lambda session: session,
    "shuffled": with_values(lambda y: np.random.default_rng(0).permutation(y)),
    "shifted by half": with_values(lambda y: np.roll(y, len(y) // 2, axis=0)),
    "silence": silent,
    "10 s": lambda session: last_minutes(session, 10 / 60),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sessions", nargs="+", type=Path)
    parser.add_argument("--base", required=True, type=Path)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--rungs", default="unsup,readout,readin,full")
    given = parser.parse_args()
    base = read_artifact(given.base)
    rungs = given.rungs.split(",")
    passed: Counter[tuple[str, str]] = Counter()
    reasons: dict[tuple[str, str], list[str]] = {}
    with tempfile.TemporaryDirectory() as name:
        for path in given.sessions:
            session = last_minutes(replace(read_session(path), path=None), given.minutes)
            better: ModelArtifact | None = None
            for case, change in CASES.items():
                today = Path(name) / f"{path.stem} {case}.h5"
                write_session(today, change(session))
                for rung in reversed(rungs):
                    in_use = better if case == "better in use" else None
                    result = calibrate_session(today, base, incumbent=in_use, rung=rung)
                    if case == "as it is" and rung == "full":
                        better = result.artifact
                    passed[rung, case] += result.deployable
                    reasons.setdefault((rung, case), []).append(f"{path.stem}: {result.reason}")
                    check(result)
    for (rung, case), each in reasons.items():
        print(f"{rung:8} {case:16} {passed[rung, case]} of {len(each)} deployable")
        print(*(f"    {reason}" for reason in each), sep="\n")
    n = sum(map(len, reasons.values()))
    print(f"{n} calibrations, no deployable model is worse than the one it replaces")


def check(result: Calibration) -> None:
    if result.deployable and result.verdict is not None:
        verdict = result.verdict
        for other in (verdict.incumbent, verdict.wiener):
            assert other is None or verdict.new.mean() > other.mean()


if __name__ == "__main__":
    main()
