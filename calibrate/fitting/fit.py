"""Fit a model to recorded sessions, and score it on their held-out end.

result = fit_sessions(["monday.h5", "tuesday.h5"], bin_width_s=0.020, outputs=("x", "y"))
write_artifact("tuesday.safetensors", result.artifact)
result.r2                                   # one per output, on the last fifth of each session
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.data.checks import shared_arrays, shared_labels
from rtdecode.calibrate.data.features import chosen_features, described_features, reading
from rtdecode.calibrate.data.metrics import nullable
from rtdecode.calibrate.data.provenance import created_now, numeric_versions
from rtdecode.calibrate.data.sessions import (
    LabelledSession,
    check_bin_width,
    describe_outputs,
    distinct_names,
    read_all,
    session_notes,
)
from rtdecode.calibrate.data.split_session import SplitSession, split_session
from rtdecode.calibrate.data.splits import check_holdout
from rtdecode.calibrate.fitting.fitters import FITTERS, Fitted, check_installed
from rtdecode.calibrate.fitting.scores import Scores, mean_of, score
from rtdecode.calibrate.fitting.training_set import MIN_TRAIN_S, FitSettings, TrainingSet
from rtdecode.calibrate.progress import Progress, ignore
from rtdecode.calibrate.run import Run
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F4, F8
from rtdecode.models.kinds.registry import NETWORKS

MIN_HOLDOUT_S = 2.0


@dataclass(frozen=True, eq=False)
class FitResult:
    """A fitted model and its scores on the held-out end of each session.

    Attributes:
        artifact: ready to be written; exactly the model that was scored.
        scores: means over sessions.
        holdout_s: held-out seconds, all sessions together.
        seconds: that the fit took.
        notes: what a reader of the scores must know, a sentence each.
    """

    artifact: ModelArtifact
    scores: Scores
    holdout_s: float
    seconds: float
    notes: list[str]

    @property
    def r2(self) -> F8:
        """f8[D], held-out R², mean over sessions; NaN for an output that does not vary there."""
        return self.scores.r2

    @property
    def pcc(self) -> F8:
        """f8[D], likewise Pearson's correlation."""
        return self.scores.pcc


def fit_sessions(
    paths: Sequence[Path | str],
    kind: str = "wiener",
    bin_width_s: float = 0.02,
    outputs: tuple[str, ...] | None = None,
    *,
    settings: FitSettings | None = None,
    run: Run | None = None,
    progress: Progress = ignore,
) -> FitResult:
    """Fit a model to one or more sessions.

    The end of each session is held out, and scored by the runtime's decoder, which runs over the whole
    session from its first bin, and anew after its gaps. R² is computed for each session by itself and then
    averaged: over pooled sessions, a mean that differs from day to day would count as explained variance.

    Args:
        paths: session files; all with the same channels, and the outputs in the same units.
        kind: "wiener", "kalman", "alignnet" or "gru"; the last two need the extra `train`.
        bin_width_s: of the model, 0.001 to 0.25 s.
        outputs: names of behaviour columns; None for all of the first session's, or for the cursor's
            velocities with "refit" labels.
        settings: of the fit; None for the defaults.
        run: its seed draws event times inside counts coarser than `bin_width_s` and is that of a network's
            training, its device trains a network; None for the defaults.
        progress: called with the stage and the fraction of the work that is done, instead of `run.progress`.

    Raises:
        RtdecodeError: an argument is out of its range; a session cannot be read, has no behaviour (or
            trials, targets and cursor), lacks an output or a block, is too short, or does not fit the others.
    """
    started = time.perf_counter()
    settings, run = settings or FitSettings(), run or Run()
    if kind not in FITTERS:
        raise RtdecodeError(
            f"this rtdecode cannot fit a model of kind {kind!r}", fix=f"use --kind {' or '.join(FITTERS)}"
        )
    if settings.steady_state and kind != "kalman":
        raise RtdecodeError(f"a {kind} model has no steady state", fix="leave --steady-state out")
    if run.device != "auto" and kind not in NETWORKS:
        raise RtdecodeError(f"a {kind} model is not trained on a device", fix="leave --device out")
    check_bin_width(bin_width_s)
    check_holdout(settings.holdout)
    check_installed(kind)
    sessions = read_all(
        paths,
        bin_width_s,
        outputs,
        run.seed,
        progress=lambda what, done: progress(what, 0.3 * done),
        labels=settings.labels,
        blocks=settings.blocks,
    )
    arrays = shared_arrays([labelled.session for labelled in sessions])
    parts = [_split(labelled, settings.holdout) for labelled in sessions]
    _check_each_output(parts)

    stage = f"fitting the {kind} model"
    progress(stage, 0.3)
    fit_run = replace(run, progress=lambda done: progress(stage, 0.3 + 0.6 * done))
    parts, fits = fit_parts(kind, parts, settings, fit_run)
    # The model is that of the last session, the most recent.
    fitted = fits[-1]
    progress("scoring", 0.9)
    scored_by = fits if len(fits) == len(parts) else [fitted] * len(parts)
    scores = [score(each.artifact, part) for each, part in zip(scored_by, parts, strict=True)]
    mean = mean_of(scores)
    holdout_s = float(sum(part.test.sum() for part in parts) * bin_width_s)
    notes = _notes(parts, fitted, mean, run.seed)
    provenance = {
        "created": created_now(),
        "sessions": [
            part.provenance() | {"r2": nullable(of.r2), "pcc": nullable(of.pcc)}
            for part, of in zip(parts, scores, strict=True)
        ],
        **shared_labels([labelled.session for labelled in sessions]),
        "seed": run.seed,
        "holdout": settings.holdout,
        "fit": fitted.settings,
        "labels": settings.labels,
        "scores": {"r2": nullable(mean.r2), "pcc": nullable(mean.pcc), "holdout_s": holdout_s},
        "notes": notes,
        "versions": numeric_versions(),
    }
    progress("done", 1.0)
    return FitResult(
        artifact=replace(fitted.artifact, provenance=provenance, arrays=arrays),
        scores=mean,
        holdout_s=holdout_s,
        seconds=time.perf_counter() - started,
        notes=notes,
    )


def fit_parts(
    kind: str, parts: Sequence[SplitSession], settings: FitSettings, run: Run
) -> tuple[list[SplitSession], Sequence[Fitted]]:
    """Fit a model to the training parts of sessions; it learns nothing from what is after them.

    Args:
        kind: of `FITTERS`.
        parts: sessions of one bin width, with the same channels and outputs.
        settings, run: see `fit_sessions`; the progress is that of the fit alone.

    Returns:
        The sessions with the features that the model reads, and the models, see `Fitter`.

    Raises:
        RtdecodeError: a session lacks a feature, an output does not vary, or as the fitter.
    """
    sessions = [part.of for part in parts]
    names = chosen_features(sessions, settings.features)
    # A network has a read-in for each session, a filter one set of weights for all.
    pools = [[part] for part in parts] if kind in NETWORKS else [parts] * len(parts)
    features = [described_features([of.of for of in pool], [of.end for of in pool], names) for pool in pools]
    parts = [replace(part, of=reading(part.of, own)) for part, own in zip(parts, features, strict=True)]
    data = TrainingSet(
        counts=[part.training_inputs for part in parts],
        targets=[part.training_targets for part in parts],
        outputs=describe_outputs(sessions, [part.training for part in parts]),
        bin_width_s=parts[0].bin_width_s,
        names=distinct_names(sessions),
        features=features if any(features) else (),
        starts=[part.training_starts for part in parts],
    )
    return parts, FITTERS[kind](data, settings, run)


def _split(labelled: LabelledSession, holdout: float) -> SplitSession:
    needed_s = max(MIN_TRAIN_S / (1.0 - holdout), MIN_HOLDOUT_S / holdout)
    labelled_s = float(labelled.labelled_bins.sum() * labelled.binned.bin_width_s)
    if labelled_s < needed_s:
        what = "behaviour" if labelled.refit is None else "a cursor on its way to a target"
        raise RtdecodeError(
            f"has {labelled_s:.1f} s of spikes with {what}; a fit that holds out {holdout:g} of it "
            f"needs {needed_s:.0f} s",
            where=str(labelled.path),
            fix="use a longer session",
        )
    return split_session(labelled, holdout)


def _check_each_output(parts: Sequence[SplitSession]) -> None:
    known_s = _known_s([part.training_targets for part in parts], parts[0].bin_width_s)
    for name, seconds in zip(parts[0].of.names, known_s, strict=True):
        if seconds < min(MIN_TRAIN_S, known_s.max()):
            raise RtdecodeError(
                f"{name} is known for {seconds:.1f} s before the held-out time; a fit needs "
                f"{MIN_TRAIN_S:g} s",
                where=", ".join(str(part.of.path) for part in parts),
                fix="leave it out with --outputs, or use a session that has it",
            )


def _known_s(targets: Sequence[F4], bin_width_s: float) -> F8:
    """Seconds f8[D] of labels of each output."""
    return np.asarray(bin_width_s * np.isfinite(np.concatenate(targets)).sum(axis=0))


def _notes(parts: Sequence[SplitSession], fitted: Fitted, mean: Scores, seed: int) -> list[str]:
    artifact, notes = fitted.artifact, list(fitted.notes)
    notes += dict.fromkeys(part.of.refit.note() for part in parts if part.of.refit is not None)
    notes += session_notes([part.of for part in parts], seed)
    masked = [channel for channel, good in enumerate(artifact.channel_mask) if not good]
    if masked:
        notes.append(
            f"{len(masked)} of {artifact.n_channels} channels are silent and masked: "
            f"{', '.join(map(str, masked))}"
        )
    unread = [feature.name for feature in artifact.features if not feature.sd]
    if unread:
        notes.append(f"{len(unread)} of {len(artifact.features)} features do not vary: {', '.join(unread)}")
    if len(parts) > 1:
        notes.append(f"R² and correlation are means over the held-out ends of {len(parts)} sessions")
    known_s = _known_s([part.test_targets for part in parts], artifact.bin_width_s)
    for output, r2, seconds in zip(artifact.outputs, mean.r2, known_s, strict=True):
        if seconds < min(MIN_HOLDOUT_S, known_s.max()):
            notes.append(
                f"{output.name} is known for {seconds:.1f} s of the held-out time: too little to score it"
            )
        elif not np.isfinite(r2):
            notes.append(f"{output.name} does not vary in the held-out time and has no score")
        elif r2 <= 0:
            notes.append(f"{output.name} is decoded no better than by its mean")
    if (fall := mean.fall()) is not None:
        notes.append(fall)
    return notes
