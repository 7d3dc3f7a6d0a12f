"""The ladder of calibration methods, from re-normalising to fine-tuning all weights.

| rung | needs | changes |
| --- | --- | --- |
| `unsup` | spikes | mean and SD of each channel and feature |
| `readout` | behaviour | these, and the heads of the frozen networks |
| `readin` | behaviour, torch | read-in and heads, trained together |
| `full` | behaviour, torch | everything but the statistics of batch normalisation |
| `refit` | trials with targets, a cursor | as `full`, or `readout` without torch, with intended velocities |
"""

from __future__ import annotations

import importlib.util
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.adaptation.finetune_settings import FINETUNING
from rtdecode.calibrate.adaptation.interpolation import interpolation_factor, zero_shot_r2
from rtdecode.calibrate.adaptation.ridge_head import refit_heads
from rtdecode.calibrate.channels.checkup import Channels, examine
from rtdecode.calibrate.channels.statistics import channel_tensors, kept_tuning, with_statistics
from rtdecode.calibrate.data.split_session import SplitSession
from rtdecode.calibrate.decoding import decoded
from rtdecode.calibrate.run import Run
from rtdecode.calibrate.training.settings import TrainingSettings
from rtdecode.errors import RtdecodeError
from rtdecode.models.renormalise import head_features, renormalised, with_heads

RUNGS = ("unsup", "readout", "readin", "full", "refit")
TRAINED = ("readin", "full")

#: Name prefixes of the parameters that `readin` trains.
ENDS = ("read_in.", "behavior_head.head.", "head.")

#: Minimum number of batches.
FEWEST_STEPS = 20

#: Seconds until the processes that train members have started.
START_S = 4.0


@dataclass(frozen=True, eq=False)
class Taken:
    """A calibrated model.

    Attributes:
        artifact: the calibrated base; the caller adds the provenance.
        rung: that was taken.
        settings: what the rung chose, as JSON can hold it.
        notes: what a user of the model must know, a sentence each.
    """

    artifact: ModelArtifact
    rung: str
    settings: dict[str, Any]
    notes: tuple[str, ...] = ()


def default_rung(labelled_s: float) -> str:
    """The rung for this much labelled time and the installed packages.

    With labels all weights are trained, however few labels there are: they are then interpolated with the
    base's (`interpolation`), and training only read-in and heads does no better (docs/calibrate.md).
    """
    if not labelled_s:
        return "unsup"
    if not torch_is_installed():
        return "readout"
    return "full"


def torch_is_installed() -> bool:
    """Whether networks can be trained here."""
    return importlib.util.find_spec("torch") is not None


def take_checked(
    rung: str,
    base: ModelArtifact,
    today: SplitSession,
    run: Run,
    finetune: TrainingSettings = FINETUNING,
) -> tuple[Taken, Channels, SplitSession]:
    """Check today's channels, and calibrate a model to them; arguments and errors as of `take_rung`.

    Nothing is learnt from what is after the training part.

    Returns:
        The model, with the channels' statistics; what was found about them; and the session as training saw
        it. A masked channel is silent there; the model is judged on what it will receive live.
    """
    seen, targets = today.training_counts, today.training_targets if today.labelled else None
    channels = examine(seen, targets, base, today.bin_width_s, today.training_starts)
    masked = replace(today, counts=np.where(channels.noisy, np.uint8(0), today.counts))
    taken = take_rung(rung, base, masked, run, finetune)
    if base.n_channels:
        kept = channel_tensors(seen, targets, today.bin_width_s, base.count_max, today.training_starts)
        taken = replace(taken, artifact=with_statistics(taken.artifact, kept_tuning(base) | kept))
    return taken, channels, masked


def take_rung(
    rung: str,
    base: ModelArtifact,
    today: SplitSession,
    run: Run,
    finetune: TrainingSettings = FINETUNING,
) -> Taken:
    """Calibrate a model.

    Args:
        rung: one of `RUNGS`.
        base: a network, with its train.*.
        today: a session in its bins.
        run: seed, device, deadline and callbacks; validation is on the last fifth of the labels.
        finetune: settings of `readin` and `full`.

    Raises:
        RtdecodeError: the rung needs behaviour or a package that is missing; the base is not a network or
            lacks its train.*; no channel fires.
    """
    if rung not in RUNGS:
        raise RtdecodeError(f"there is no rung {rung!r}", where="--rung", fix=f"use {', '.join(RUNGS)}")
    if rung != "unsup" and not today.labelled:
        raise RtdecodeError(
            "has no behaviour to train on", where=str(today.of.path), fix="use --rung unsup, which needs none"
        )
    if rung == "refit":
        # For any labelled time: refit is for an array that has changed, where a new read-in is not enough.
        taken = take_rung("full" if torch_is_installed() else "readout", base, today, run, finetune)
        return replace(taken, rung=rung, settings=taken.settings | {"as": taken.rung})
    if rung in TRAINED and not torch_is_installed():
        raise RtdecodeError(
            f"the rung {rung} trains networks, which needs torch",
            where="--rung",
            fix="pip install 'rtdecode[train]', or use --rung readout",
        )
    if rung in TRAINED:
        return _finetuned(rung, base, today, run, replace(finetune, only=ENDS if rung == "readin" else ()))
    artifact = _renormalised(base, today)
    run.progress(0.3)
    if rung == "unsup":
        return Taken(artifact, rung, {})
    return _read_out(artifact, today)


def fresh_name(base: ModelArtifact, name: str) -> str:
    """`name`, with a number if the base has a session of that name."""
    names = {str(session["name"]) for session in base.provenance.get("sessions", ()) if "name" in session}
    n, fresh = 1, name
    while fresh in names:
        n += 1
        fresh = f"{name} {n}"
    return fresh


def _renormalised(base: ModelArtifact, today: SplitSession) -> ModelArtifact:
    name = fresh_name(base, today.name)
    return renormalised(base, name, *today.statistics(base.count_max), today.of.features)


def _read_out(artifact: ModelArtifact, today: SplitSession) -> Taken:
    inputs, targets = today.training_inputs, today.training_targets
    values = decoded(artifact, inputs, today.training_starts)
    features = head_features(artifact, inputs, today.training_starts)
    heads = refit_heads(features, targets - values, today.bin_width_s)
    alpha = interpolation_factor(today.training_s, zero_shot_r2(values, targets))
    return Taken(
        with_heads(artifact, alpha * heads.change, alpha * heads.offset),
        "readout",
        {"penalty_s": heads.penalty_s.tolist(), "part": alpha},
    )


def _finetuned(
    rung: str, base: ModelArtifact, today: SplitSession, run: Run, settings: TrainingSettings
) -> Taken:
    # These imports take seconds, and need packages that not every installation has.
    from rtdecode.calibrate.adaptation.finetune import NewDay, adapt, seconds_per_step
    from rtdecode.calibrate.training.build import export_members
    from rtdecode.models.ensemble.load import networks_of

    nets, name = networks_of(base), fresh_name(base, today.name)
    day = NewDay(
        name, today.training_inputs, today.training_targets, today.bin_width_s, today.training_starts
    )
    notes: tuple[str, ...] = ()
    if run.deadline_s is not None:
        step_s = seconds_per_step(nets, day, run, settings)
        left_s = run.deadline_s - time.monotonic() - (START_S if len(nets) > 1 else 0.0)
        steps = min(settings.steps, int(left_s / step_s))
        if steps < FEWEST_STEPS:
            taken = _read_out(_renormalised(base, today), today)
            return replace(taken, notes=("no time to train: readout instead",))
        if steps < settings.steps:
            notes = (f"{steps} of {settings.steps} batches, to meet the deadline",)
        settings = replace(settings, steps=steps)
    logs = adapt(nets, day, run, settings)
    best = [log.best_step for log in logs]
    if max(best) == 0:
        notes += ("training improved nothing on the last fifth of its labels: today's statistics alone",)
    artifact = export_members(nets, name, today.bin_width_s, base.outputs, today.of.features)
    return Taken(artifact, rung, {"steps": settings.steps, "best_steps": best}, notes)
