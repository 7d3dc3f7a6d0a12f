"""Effect of faults of the array on the zero-shot R² of a base on unseen days.

    python tests/benchmark/bench_robustness.py BASE.safetensors[,OTHER.safetensors…] DAY.h5…

The read-in is that of the four minutes before the last fifth. Then a fault is applied to the counts of the
last fifth and of the ten seconds before it, at seed 0, the same for every base. Prints R² on the last fifth,
mean over outputs and days.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact, read_artifact
from rtdecode.calibrate.data.metrics import r2
from rtdecode.calibrate.data.sessions import LabelledSession, read_all
from rtdecode.calibrate.data.splits import LAST_FIFTH, chronological_split
from rtdecode.calibrate.training.build import add_session, export_members
from rtdecode.decode.load import load_decoder
from rtdecode.models.ensemble.load import networks_of

READ_IN_S, LEAD_S = 240.0, 10.0

Counts = NDArray[np.float64]
Fault = Callable[[Counts, Counts, np.random.Generator], Counts]
"""Of counts f8[T, C], the SD f8[C] of the channels before, and a generator."""


def dead(n: int) -> Fault:
    def fault(counts: Counts, sd: Counts, rng: np.random.Generator) -> Counts:
        worse = counts.copy()
        worse[:, rng.choice(np.flatnonzero(sd > 0), n, replace=False)] = 0.0
        return worse

    return fault


def noisy(n: int) -> Fault:
    """Poisson noise of 4 SD is added to n channels."""

    def fault(counts: Counts, sd: Counts, rng: np.random.Generator) -> Counts:
        worse = counts.copy()
        for channel in rng.choice(np.flatnonzero(sd > 0), n, replace=False):
            worse[:, channel] += rng.poisson(4.0 * sd[channel], len(counts))
        return worse

    return fault


def artefacts(part: float) -> Fault:
    """Bins in which four of five channels are raised by 3 to 9 SD."""

    def fault(counts: Counts, sd: Counts, rng: np.random.Generator) -> Counts:
        hit = rng.random(len(counts)) < part
        height = rng.uniform(3.0, 9.0, (len(counts), 1)) * (rng.random(counts.shape) < 0.8)
        return counts + np.rint(height * sd) * hit[:, np.newaxis]

    return fault


def gain(sd_of_log: float) -> Fault:
    """Channels lose spikes or get more."""

    def fault(counts: Counts, sd: Counts, rng: np.random.Generator) -> Counts:
        factor = np.exp(sd_of_log * rng.standard_normal(counts.shape[1]))
        kept = rng.binomial(counts.astype(np.int64), np.minimum(factor, 1.0))
        return kept + rng.poisson(counts * np.maximum(factor - 1.0, 0.0))

    return fault


def baseline(sd_of_rate: float) -> Fault:
    """Channels get spikes that do not depend on behaviour."""

    def fault(counts: Counts, sd: Counts, rng: np.random.Generator) -> Counts:
        return counts + rng.poisson(
            np.abs(rng.standard_normal(counts.shape[1])) * sd_of_rate * sd, counts.shape
        )

    return fault


FAULTS: dict[str, Fault] = {
    "as recorded": lambda counts, sd, rng: counts,
    "5 dead channels": dead(5),
    "15 dead channels": dead(15),
    "3 noisy channels": noisy(3),
    "10 noisy channels": noisy(10),
    "artefacts in 1 % of bins": artefacts(0.01),
    "artefacts in 5 % of bins": artefacts(0.05),
    "gain drift, SD of log 0.2": gain(0.2),
    "gain drift, SD of log 0.4": gain(0.4),
    "baseline drift, 0.3 SD": baseline(0.3),
}


def main(bases: list[Path], paths: list[Path]) -> None:
    artifacts = [read_artifact(path) for path in bases]
    days = read_all(paths, artifacts[0].bin_width_s, artifacts[0].output_names)
    print(f"{'':28}" + "".join(f"{path.stem:>16}" for path in bases))
    for name, fault in FAULTS.items():
        row = [np.mean([score(artifact, day, fault) for day in days]) for artifact in artifacts]
        print(f"{name:28}" + "".join(f"{value:16.3f}" for value in row), flush=True)


def score(artifact: ModelArtifact, day: LabelledSession, fault: Fault) -> float:
    """Mean R² over outputs of a base on a day whose end is faulty."""
    before, held_out = chronological_split(day.labelled_bins, LAST_FIFTH)
    stop = int(np.flatnonzero(before)[-1]) + 1
    bins = round(READ_IN_S / artifact.bin_width_s)
    nets = [copy.deepcopy(net) for net in networks_of(artifact)]
    known = day.binned.counts[max(0, stop - bins) : stop]
    add_session(nets, day.session.name, known, artifact.bin_width_s, where=str(day.path))
    decoder = load_decoder(export_members(nets, day.session.name, artifact.bin_width_s, artifact.outputs))
    counts = day.binned.counts.copy()
    first = max(0, stop - round(LEAD_S / artifact.bin_width_s))
    worse = fault(counts[first:].astype(float), known.std(axis=0), np.random.default_rng(0))
    counts[first:] = worse.clip(0, 255)
    values = np.empty(day.targets.shape, np.float32)
    decoder.run(counts, values)
    return float(r2(values[held_out], day.targets[held_out]).mean())


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main([Path(name) for name in sys.argv[1].split(",")], [Path(name) for name in sys.argv[2:]])
