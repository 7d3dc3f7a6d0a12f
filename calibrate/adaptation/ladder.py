"""The ladder: how much of a model is learnt anew today.

| rung | needs | changes |
| --- | --- | --- |
| `unsup` | spikes | mean and SD of each channel |
| `readout` | behaviour | these, and the heads of the frozen networks |
| `readin` | behaviour, torch | read-in and heads, trained together |
| `full` | behaviour, torch | everything but the statistics of batch normalisation |
| `refit` | trials with targets, a cursor | as `full`, or `readout` without torch, by labels of intention |
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.adaptation.interpolation import part_of_the_way, worth
from rtdecode.calibrate.adaptation.ridge_head import refit_heads
from rtdecode.calibrate.adaptation.session import CalibrationSession
from rtdecode.calibrate.data.splits import LAST_FIFTH, chronological_split
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.models.renormalise import features, read_in_anew, with_heads

RUNGS = ("unsup", "readout", "readin", "full", "refit")
TRAINED = ("readin", "full")

#: What `readin` trains, by the beginnings of its names in a network.
ENDS = ("read_in.", "behavior_head.head.", "head.")

#: Fewest batches that are worth their while, and how many are made to see how long one takes.
FEWEST_STEPS, TIMED_STEPS = 20, 3

#: Seconds until processes that train members have begun.
START_S = 4.0


@dataclass(frozen=True, eq=False)
class Taken:
    """A model of today.

    Attributes:
        artifact: the base, calibrated; provenance is left to the caller.
        rung: that was taken.
        settings: what was chosen on the way, as JSON can hold it.
        notes: what someone must know, a sentence each.
    """

    artifact: ModelArtifact
    rung: str
    settings: dict[str, Any]
    notes: tuple[str, ...] = ()


def default_rung(labelled_s: float) -> str:
    """The rung for so much labelled time, and for what is installed.

    With labels all weights are learnt anew, however few labels there are: they go only a part of the way then
    (`nearness`), and a read-in and heads alone do no better (docs/calibrate.md).
    """
    if not labelled_s:
        return "unsup"
    if not torch_is_installed():
        return "readout"
    return "full"


def torch_is_installed() -> bool:
    """Whether networks can be trained here."""
    return importlib.util.find_spec("torch") is not None


def take_rung(
    rung: str,
    base: ModelArtifact,
    today: CalibrationSession,
    *,
    seed: int,
    device: str,
    ends_at_s: float | None,
    progress: Callable[[float], None],
    looked: Callable[[float], None] | None = None,
) -> Taken:
    """Calibrate a model.

    Args:
        rung: one of `RUNGS`.
        base: a network, with its train.*.
        today: in its bins.
        seed: of everything random.
        device: to train on.
        ends_at_s: time of `time.monotonic` by which to be done; None for no hurry.
        progress: told the part of the work that is done.
        looked: told the best mean R² so far over the last fifth of the labels.

    Raises:
        RtdecodeError: the rung needs behaviour or a package that is not there; the base is no network or
            does not hold a whole one; no channel fires.
    """
    if rung not in RUNGS:
        raise RtdecodeError(f"there is no rung {rung!r}", where="--rung", fix=f"use {', '.join(RUNGS)}")
    if rung != "unsup" and not today.labelled:
        raise RtdecodeError(
            "has no behaviour to learn from", where=str(today.path), fix="use --rung unsup, which needs none"
        )
    if rung == "refit":
        # Whatever the time: it is asked for where the array has changed, and a new read-in does not do then.
        way = "full" if torch_is_installed() else "readout"
        taken = take_rung(
            way,
            base,
            today,
            seed=seed,
            device=device,
            ends_at_s=ends_at_s,
            progress=progress,
            looked=looked,
        )
        return replace(taken, rung=rung, settings=taken.settings | {"as": taken.rung})
    if rung in TRAINED and not torch_is_installed():
        raise RtdecodeError(
            f"the rung {rung} trains networks, which needs torch",
            where="--rung",
            fix="pip install 'rtdecode[train]', or use --rung readout",
        )
    if rung in TRAINED:
        return _trained(rung, base, today, seed, device, ends_at_s, progress, looked)
    artifact = _taken_up(base, today)
    progress(0.3)
    if rung == "unsup":
        return Taken(artifact, rung, {})
    return _read_out(artifact, today)


def fresh_name(base: ModelArtifact, name: str) -> str:
    """`name`, with a number where the base knows a session of that name already."""
    known = {str(session["name"]) for session in base.provenance.get("sessions", ()) if "name" in session}
    n, fresh = 1, name
    while fresh in known:
        n += 1
        fresh = f"{name} {n}"
    return fresh


def _taken_up(base: ModelArtifact, today: CalibrationSession) -> ModelArtifact:
    mean, sd, good = today.statistics(base.count_max)
    return read_in_anew(base, fresh_name(base, today.name), mean, sd, good)


def _read_out(artifact: ModelArtifact, today: CalibrationSession) -> Taken:
    counts, targets = today.counts[: today.end], today.training_targets
    decoded = np.empty(targets.shape, np.float32)
    load_decoder(artifact).run(counts, decoded)
    learnt = today.training[: today.end]
    _, chosen_by = chronological_split(learnt, LAST_FIFTH)
    heads = refit_heads(features(artifact, counts), targets - decoded, learnt, chosen_by, today.bin_width_s)
    part = part_of_the_way(today.training_s, worth(decoded, targets))
    return Taken(
        with_heads(artifact, part * heads.change, part * heads.offset),
        "readout",
        {"penalty_s": heads.penalty_s.tolist(), "part": part},
    )


def _trained(
    rung: str,
    base: ModelArtifact,
    today: CalibrationSession,
    seed: int,
    device: str,
    ends_at_s: float | None,
    progress: Callable[[float], None],
    looked: Callable[[float], None] | None,
) -> Taken:
    # Seconds, and not there in every installation.
    from rtdecode.calibrate.adaptation.finetune import STEPS, adapt, seconds_per_step
    from rtdecode.calibrate.training.build import chosen_device, export_members
    from rtdecode.models.ensemble.load import networks_of

    where, nets = chosen_device(device), networks_of(base)
    name = fresh_name(base, today.name)
    counts, targets, steps = today.counts[: today.end], today.training_targets, STEPS
    notes: tuple[str, ...] = ()
    if ends_at_s is not None:
        each_s = seconds_per_step(nets, name, counts, targets, today.bin_width_s, where, TIMED_STEPS)
        left_s = ends_at_s - time.monotonic() - (START_S if len(nets) > 1 else 0.0)
        steps = min(STEPS, int(left_s / each_s))
        if steps < FEWEST_STEPS:
            taken = _read_out(_taken_up(base, today), today)
            return replace(taken, notes=("no time to train: readout instead",))
        if steps < STEPS:
            notes = (f"{steps} of {STEPS} batches, to be done in time",)
    logs = adapt(
        nets,
        name,
        counts,
        targets,
        today.bin_width_s,
        seed=seed,
        device=where,
        progress=progress,
        steps=steps,
        only=ENDS if rung == "readin" else (),
        ends_at_s=ends_at_s,
        looked=looked,
    )
    best = [log.best_step for log in logs]
    if max(best) == 0:
        notes += ("training bettered nothing on the last fifth of its labels: today's statistics alone",)
    artifact = export_members(nets, name, today.bin_width_s, base.outputs)
    return Taken(artifact, rung, {"steps": steps, "best_steps": best}, notes)
