"""Effect of a change of the array on a decoder, and of calibrating again: before, during, after.

    export PYTHONPATH=tests/support:tests/support/live
    python tests/benchmark/bench_instability.py --session stabilizedbci_20160325.h5
    python tests/benchmark/bench_instability.py --day indy_20161207_02.h5 --base a64_0.safetensors

--session: a closed-loop session whose trials have blocks. A decoder is fitted to the first block with
intended velocities as labels (`fit --labels refit --block …`). It is scored on a block of the same array
(before), on the later part of the block with the changed array (during), and there again after calibration on
the earlier part (after). Filters are fitted again to the earlier part instead. R² is against the intended
velocity; the angle is between the decoded velocity and the direction to the target, mean over bins.

--day, --base: an ordinary session. A model is calibrated on the minutes before its midpoint; then channels
are swapped in pairs, silenced, or raised by a constant rate, and it is calibrated again on the first minutes
of the changed array. Everything is scored on the last fifth: as recorded (before), and changed (during,
after). R² is the mean over outputs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scored import decode

from rtdecode.artifact import ModelArtifact, read_artifact
from rtdecode.calibrate.adaptation.ladder import take_rung
from rtdecode.calibrate.adaptation.session import calibration_session
from rtdecode.calibrate.data.blocks import only_blocks
from rtdecode.calibrate.data.metrics import r2
from rtdecode.calibrate.data.split_session import SplitSession
from rtdecode.calibrate.data.splits import chronological_split
from rtdecode.calibrate.fitting.fit import fit_sessions
from rtdecode.calibrate.fitting.fitters import NETWORKS, same_day_filter
from rtdecode.calibrate.fitting.training_set import FitSettings
from rtdecode.calibrate.run import Run
from rtdecode.cli.common import table
from rtdecode.session.bins import bin_session
from rtdecode.session.read import read_session

U1, F4 = NDArray[np.uint8], NDArray[np.float32]

#: Of the changed block, the part at its end that is scored.
LATER = 0.4

BEFORE_S = 240.0
LAST = 0.2
RATE_HZ = 30.0

Change = Callable[[U1, float, NDArray[np.int64]], U1]
"""Of counts u1[T, C], their bin width, and the channels it happens to."""


def swapped(counts: U1, bin_width_s: float, channels: NDArray[np.int64]) -> U1:
    """Each channel records what its partner did."""
    changed = counts.copy()
    half = len(channels) // 2
    first, second = channels[:half], channels[half : 2 * half]
    changed[:, first], changed[:, second] = counts[:, second], counts[:, first]
    return changed


def silenced(counts: U1, bin_width_s: float, channels: NDArray[np.int64]) -> U1:
    """They record nothing any more."""
    changed = counts.copy()
    changed[:, channels] = 0
    return changed


def offset(counts: U1, bin_width_s: float, channels: NDArray[np.int64]) -> U1:
    """They record spikes besides, at a constant rate."""
    changed = counts.astype(np.int64)
    rng = np.random.default_rng(0)
    changed[:, channels] += rng.poisson(RATE_HZ * bin_width_s, (len(counts), len(channels)))
    return changed.clip(0, 255).astype(np.uint8)


def all_three(counts: U1, bin_width_s: float, channels: NDArray[np.int64]) -> U1:
    """A third of the channels each."""
    for change, some in zip((swapped, silenced, offset), np.array_split(channels, 3), strict=True):
        counts = change(counts, bin_width_s, some)
    return counts


CHANGES: dict[str, Change] = {
    "swapped": swapped, "silenced": silenced, "offset": offset, "all three": all_three
}  # fmt: skip


def closed_loop(arguments: argparse.Namespace) -> None:
    """Real blocks of one session."""
    print(f"fitted to {arguments.first}, before: {arguments.before}, changed: {arguments.changed}")
    rows = []
    for kind in arguments.kinds.split(","):
        for seed in range(arguments.seeds if kind in NETWORKS else 1):
            rows += [[kind, str(seed), *row] for row in closed_loop_rows(arguments, kind, seed)]
            print(
                table(["kind", "seed", "model", "scored on", "R²", "angle", "s learnt"], rows[-7:]),
                flush=True,
            )
    print(table(["kind", "seed", "model", "scored on", "R²", "angle", "s learnt"], rows))


def closed_loop_rows(arguments: argparse.Namespace, kind: str, seed: int) -> Iterator[list[str]]:
    base = fit_sessions(
        [arguments.session],
        kind,
        arguments.bin_width,
        settings=FitSettings(labels="refit", blocks=[arguments.first]),
        run=Run(seed=seed),
    ).artifact
    changed = calibration_session(
        read_session(arguments.session), base, refit=True, blocks=[arguments.changed]
    )
    before = earlier(arguments, base)
    learnt, later = chronological_split(changed.training | changed.test, LATER)
    today = replace(changed, training=learnt, test=later)
    yield ["as fitted", "before", *told(base, before, before.training)]
    yield ["as fitted", "during", *told(base, today, later)]
    if kind not in NETWORKS:
        anew = same_day_filter(
            today.counts[: today.end], today.training_targets, base.outputs, base.bin_width_s
        )
        yield [f"{kind} anew", "after", *told(anew, today, later, today.training_s)]
        return
    for rung in arguments.rungs.split(","):
        taken = take_rung(rung, base, today, Run(seed=seed, device="cpu"))
        name = rung + (f" ({taken.settings['as']})" if "as" in taken.settings else "")
        yield [
            name,
            "after",
            *told(taken.artifact, today, later, today.training_s if rung != "unsup" else 0.0),
        ]


def earlier(arguments: argparse.Namespace, base: ModelArtifact) -> SplitSession:
    """The block `before` up to the change of the array; `training` is all that is scored."""
    session = read_session(arguments.session)
    binned = bin_session(session, base.bin_width_s)
    change_s = only_blocks(session, binned, [arguments.changed]).origin_s
    t_bin = only_blocks(session, binned, [arguments.before]).t_bin
    today = calibration_session(read_session(arguments.session), base, refit=True, blocks=[arguments.before])
    return replace(today, training=(today.training | today.test) & (t_bin <= change_s))


def told(
    artifact: ModelArtifact, today: SplitSession, rows: NDArray[np.bool_], learnt_s: float = 0.0
) -> list[str]:
    """R² per output, mean angle in degrees, and the labelled time that was learnt from."""
    values, targets = decode(artifact, today.counts)[rows], today.targets[rows]
    return [
        "  ".join(f"{score:.3f}" for score in r2(values, targets)),
        f"{angle_deg(values, targets):.1f}°",
        f"{learnt_s:.0f}" if learnt_s else "",
    ]


def angle_deg(values: F4, targets: F4) -> float:
    """Mean angle between the directions of two velocities f4[T, 2], where the second is not 0."""
    a, b = values.astype(np.float64), targets.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    moving = lengths > 0
    cosine = (a * b).sum(axis=1)[moving] / lengths[moving]
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))).mean())


def simulated(arguments: argparse.Namespace) -> None:
    """Changes within an ordinary day."""
    base = read_artifact(arguments.base)
    day = calibration_session(read_session(arguments.day), base)
    width_s, known = day.bin_width_s, day.training | day.test
    at = round(arguments.at * len(day.counts))
    _, last = chronological_split(known, LAST)
    lead = slice(max(0, at - round(BEFORE_S / width_s)), at)
    in_use = calibrated("full", base, part(day, day.counts, lead))
    filtered = same_day_filter(day.counts[lead], day.targets[lead], base.outputs, width_s)
    firing = np.flatnonzero(day.counts[:at].mean(axis=0) >= width_s)
    channels = np.random.default_rng(arguments.seed).choice(firing, arguments.channels, replace=False)
    # Nothing that is scored is learnt from, so a short day has fewer minutes.
    free_s = (int(np.flatnonzero(last)[0]) - at) * width_s
    minutes = [m for m in map(float, arguments.minutes.split(",")) if 60.0 * m <= free_s]
    print(
        f"{arguments.day.stem}, base {arguments.base.stem}: {arguments.channels} channels change at "
        f"{at * width_s:.0f} s, {free_s:.0f} s before what is scored; in use: full, "
        f"{(lead.stop - lead.start) * width_s:.0f} s"
    )

    def score(model: ModelArtifact, counts: U1) -> str:
        return f"{r2(decode(model, counts)[last], day.targets[last]).mean():.3f}"

    rows = []
    for name in arguments.changes.split(","):
        counts = day.counts.copy()
        counts[at:] = CHANGES[name](day.counts[at:], width_s, channels)
        spans = [slice(at, at + round(60.0 * m / width_s)) for m in minutes]
        models = {
            rung: [calibrated(rung, in_use, part(day, counts, span)) for span in spans]
            for rung in arguments.rungs.split(",")
        }
        anew = [same_day_filter(counts[span], day.targets[span], base.outputs, width_s) for span in spans]
        for rung, after, before in (
            *((rung, after, in_use) for rung, after in models.items()),
            ("wiener anew", anew, filtered),
        ):
            scores = [score(before, day.counts), score(before, counts), *(score(m, counts) for m in after)]
            rows.append([name, rung, *scores])
    print(table(["change", "model", "before", "during", *(f"after {m:g} min" for m in minutes)], rows))


def part(day: SplitSession, counts: U1, rows: slice) -> SplitSession:
    """Some of the day's bins, all of them learnt from."""
    known = day.training | day.test
    return replace(
        day,
        counts=counts[rows],
        targets=day.targets[rows],
        training=known[rows],
        test=np.zeros_like(known[rows]),
    )


def calibrated(rung: str, base: ModelArtifact, today: SplitSession) -> ModelArtifact:
    """A model of these bins, which remembers them, so that it is a base in its turn."""
    taken = take_rung(rung, base, today, Run(device="cpu"))
    sessions = [*base.provenance.get("sessions", ()), today.provenance()]
    return replace(taken.artifact, provenance={"sessions": sessions})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--session", type=Path, help="closed-loop session with blocks")
    parser.add_argument("--first", default="gradualTrain", help="block that is fitted to")
    parser.add_argument("--before", default="baselineEvaluation", help="block of the array as it was")
    parser.add_argument("--changed", default="perturbationEvaluation", help="block of the changed array")
    parser.add_argument("--kinds", default="alignnet,wiener")
    parser.add_argument("--bin-width", type=float, default=0.045, help="seconds")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--day", type=Path, help="ordinary session")
    parser.add_argument("--base", type=Path, help="network that has not seen --day")
    parser.add_argument("--at", type=float, default=0.5, help="part of the day after which the array changes")
    parser.add_argument("--channels", type=int, default=30, help="that change")
    parser.add_argument("--changes", default=",".join(CHANGES))
    parser.add_argument("--minutes", default="1,2,4", help="of the changed array")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of channels")
    parser.add_argument("--rungs", default="unsup,readin,full")
    arguments = parser.parse_args()
    if arguments.session is None and arguments.day is None:
        parser.error("name a --session, or a --day and its --base")
    if arguments.day is not None and arguments.base is None:
        parser.error("--day needs a --base")
    if arguments.session is not None:
        closed_loop(arguments)
    if arguments.day is not None:
        simulated(arguments)


if __name__ == "__main__":
    main()
