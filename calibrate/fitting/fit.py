"""From recorded sessions to a model artifact, scored on what it has not seen.

result = fit_sessions(["monday.h5", "tuesday.h5"], bin_width_s=0.020, outputs=("x", "y"))
write_artifact("tuesday.safetensors", result.artifact)
result.r2                                   # one per output, on the last fifth of each session
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact, count_max_at
from rtdecode.calibrate.data.metrics import nullable, pcc, r2
from rtdecode.calibrate.data.refit_labels import RECORDED
from rtdecode.calibrate.data.sessions import (
    LabelledSession,
    check_bin_width,
    describe_outputs,
    distinct_names,
    read_all,
    synthetic_notes,
)
from rtdecode.calibrate.data.splits import check_holdout, chronological_split
from rtdecode.calibrate.fitting.fitters import FITTERS, NETWORKS, Trained, TrainingSet, check_installed
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError

MIN_TRAIN_S, MIN_HOLDOUT_S = 20.0, 2.0

Progress = Callable[[str, float], None]
"""Called with what is being done and how much of the whole is done, 0 to 1."""


@dataclass(frozen=True, eq=False)
class FitResult:
    """A fitted model and how well it does on the held-out end of each session.

    Attributes:
        artifact: ready to be written; exactly what was scored.
        r2: f8[D], mean over sessions of the held-out R²; NaN for an output that does not vary there.
        pcc: f8[D], likewise for Pearson's correlation.
        holdout_s: seconds that were held out, all sessions together.
        seconds: that the fit took.
        notes: what someone who reads the scores must know, a sentence each.
    """

    artifact: ModelArtifact
    r2: NDArray[np.float64]
    pcc: NDArray[np.float64]
    holdout_s: float
    seconds: float
    notes: list[str]


def fit_sessions(
    paths: Sequence[Path | str],
    kind: str = "wiener",
    bin_width_s: float = 0.02,
    outputs: tuple[str, ...] | None = None,
    holdout: float = 0.2,
    seed: int = 0,
    steady_state: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
    labels: str = RECORDED,
    blocks: Sequence[str] = (),
) -> FitResult:
    """Fit a model to one or more sessions.

    The end of each session is held out, and scored by the runtime's decoder run over the whole session
    from its first bin. R² is taken for each session by itself and then averaged: over pooled sessions, a
    mean that differs from day to day would pass for explained variance.

    Args:
        paths: session files; all with the same channels, and the outputs in the same units.
        kind: "wiener", "kalman", "alignnet" or "gru"; the last two need the extra `train`.
        bin_width_s: of the model, 0.001 to 0.25 s.
        outputs: names of behaviour columns; None for all of the first session's, or for the cursor's
            velocities where labels are "refit".
        holdout: part of each session's labelled time that is held out, in (0, 0.5].
        seed: places the events of counts that are coarser than `bin_width_s`, and of a network's training.
        steady_state: for a Kalman filter, fold the gain that it settles at instead of keeping its covariance.
        device: to train a network on: "auto", "cpu", "cuda" …
        progress: told how far the work is.
        labels: "recorded" for behaviour, or "refit" for intention towards the targets of the trials.
        blocks: whose trials' time is taken; () for the whole of each session.

    Raises:
        RtdecodeError: an argument is out of its range; a session cannot be read, has no behaviour (or
            trials, targets and cursor), lacks an output or a block, is too short, or does not fit the others.
    """
    started = time.perf_counter()
    report: Progress = progress if progress is not None else _ignore
    fitter = FITTERS.get(kind)
    if fitter is None:
        raise RtdecodeError(
            f"this rtdecode fits no model of kind {kind!r}", fix=f"use --kind {' or '.join(FITTERS)}"
        )
    if steady_state and kind != "kalman":
        raise RtdecodeError(f"a {kind} model has no steady state", fix="leave --steady-state out")
    if device != "auto" and kind not in NETWORKS:
        raise RtdecodeError(f"a {kind} model is not trained on a device", fix="leave --device out")
    check_bin_width(bin_width_s)
    check_holdout(holdout)
    check_installed(kind)
    sessions = read_all(
        paths,
        bin_width_s,
        outputs,
        seed,
        progress=lambda what, done: report(what, 0.3 * done),
        labels=labels,
        blocks=blocks,
    )
    parts = [_split(labelled, holdout) for labelled in sessions]

    report(f"fitting the {kind} model", 0.3)
    described = describe_outputs(sessions, [part.train for part in parts])
    data = TrainingSet(
        counts=[part.train_counts for part in parts],
        targets=[part.train_targets for part in parts],
        outputs=described,
        bin_width_s=bin_width_s,
        names=distinct_names(sessions),
        steady_state=steady_state,
        seed=seed,
        device=device,
    )
    fits = fitter(
        data,
        lambda done: report(f"fitting the {kind} model", 0.3 + 0.6 * done),
    )
    artifacts = [
        ModelArtifact(
            kind=kind,
            causal=True,
            bin_width_s=bin_width_s,
            n_channels=sessions[0].session.n_channels,
            channel_mask=fitted.channel_mask,
            outputs=described,
            count_max=count_max_at(bin_width_s),
            run=fitted.run,
            train=fitted.train,
            widths=fitted.widths,
            fractional_bits=fitted.fractional_bits,
        )
        for fitted in fits
    ]
    # What is kept is made for the last session, the nearest to what comes.
    trained, artifact = fits[-1], artifacts[-1]
    report("scoring", 0.9)
    scored_by = artifacts if len(artifacts) == len(parts) else [artifact] * len(parts)
    scores = [_score(made, part) for made, part in zip(scored_by, parts, strict=True)]
    mean_r2, mean_pcc = (_mean_over_sessions([score[i] for score in scores]) for i in (0, 1))
    holdout_s = float(sum(part.held_out.sum() for part in parts) * bin_width_s)
    notes = _notes(parts, trained, artifact, mean_r2, seed)
    provenance = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "sessions": [
            part.provenance() | {"r2": nullable(score[0]), "pcc": nullable(score[1])}
            for part, score in zip(parts, scores, strict=True)
        ],
        "seed": seed,
        "holdout": holdout,
        "fit": trained.settings,
        "labels": labels,
        "scores": {"r2": nullable(mean_r2), "pcc": nullable(mean_pcc), "holdout_s": holdout_s},
        "notes": notes,
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in ("rtdecode", "numpy", "scipy", "numba")},
    }
    report("done", 1.0)
    return FitResult(
        artifact=replace(artifact, provenance=provenance),
        r2=mean_r2,
        pcc=mean_pcc,
        holdout_s=holdout_s,
        seconds=time.perf_counter() - started,
        notes=notes,
    )


@dataclass(frozen=True, eq=False)
class _Part:
    """One session, split in time: bool[T] each."""

    of: LabelledSession
    train: NDArray[np.bool_]
    held_out: NDArray[np.bool_]

    @property
    def train_counts(self) -> NDArray[np.uint8]:
        return self.of.binned.counts[: self._train_end]

    @property
    def train_targets(self) -> NDArray[np.float32]:
        known = self.train[: self._train_end, np.newaxis]
        return np.where(known, self.of.targets[: self._train_end], np.float32(np.nan))

    @property
    def _train_end(self) -> int:
        return int(np.flatnonzero(self.train)[-1]) + 1

    def provenance(self) -> dict[str, Any]:
        bin_width_s = self.of.binned.bin_width_s
        return self.of.provenance() | {
            "train_s": float(self.train.sum() * bin_width_s),
            "holdout_s": float(self.held_out.sum() * bin_width_s),
        }


def _split(labelled: LabelledSession, holdout: float) -> _Part:
    train, held_out = chronological_split(labelled.labelled_bins, holdout)
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
    return _Part(labelled, train, held_out)


def _score(artifact: ModelArtifact, part: _Part) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    decoder = load_decoder(artifact)
    values = np.empty(part.of.targets.shape, dtype=np.float32)
    decoder.run(part.of.binned.counts, values)
    targets = part.of.targets[part.held_out]
    return r2(values[part.held_out], targets), pcc(values[part.held_out], targets)


def _mean_over_sessions(scores: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Mean f8[D] over the sessions that have a score; NaN where none has."""
    stacked = np.stack(scores)
    known = np.isfinite(stacked)
    total = np.where(known, stacked, 0.0).sum(axis=0)
    mean = np.full(total.shape, np.nan)
    np.divide(total, known.sum(axis=0), out=mean, where=known.any(axis=0))
    return mean


def _notes(
    parts: Sequence[_Part],
    trained: Trained,
    artifact: ModelArtifact,
    mean_r2: NDArray[np.float64],
    seed: int,
) -> list[str]:
    notes = list(trained.notes)
    notes += dict.fromkeys(part.of.refit.note() for part in parts if part.of.refit is not None)
    notes += synthetic_notes([part.of for part in parts], seed)
    masked = [channel for channel, good in enumerate(trained.channel_mask) if not good]
    if masked:
        notes.append(
            f"{len(masked)} of {artifact.n_channels} channels are silent and masked: "
            f"{', '.join(map(str, masked))}"
        )
    if len(parts) > 1:
        notes.append(f"R² and correlation are means over the held-out ends of {len(parts)} sessions")
    for output, score in zip(artifact.outputs, mean_r2, strict=True):
        if not np.isfinite(score):
            notes.append(f"{output.name} does not vary in the held-out time and has no score")
        elif score <= 0:
            notes.append(f"{output.name} is decoded no better than by its mean")
    return notes


def _ignore(_what: str, _done: float) -> None:
    pass
