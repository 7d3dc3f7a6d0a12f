"""From recorded sessions to a model artifact, scored on what it has not seen.

result = fit_sessions(["monday.h5", "tuesday.h5"], bin_width_s=0.020, outputs=("x", "y"))
write_artifact("tuesday.safetensors", result.artifact)
result.r2                                   # one per output, on the last fifth of each session
"""

from __future__ import annotations

import hashlib
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

from rtdecode.artifact import ModelArtifact, Output, count_max_at, infer_role
from rtdecode.calibrate.fitters import FITTERS, NETWORKS, Trained, TrainingSet
from rtdecode.calibrate.score import nullable, pcc, r2
from rtdecode.calibrate.split import check_holdout, chronological_split
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.session.bins import BinnedSession, behavior_at, bin_session
from rtdecode.session.layout import Session
from rtdecode.session.read import read_session

MIN_BIN_WIDTH_S, MAX_BIN_WIDTH_S = 0.001, 0.25
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
) -> FitResult:
    """Fit a model to one or more sessions.

    The end of each session is held out, and scored by the runtime's decoder run over the whole session
    from its first bin. R² is taken for each session by itself and then averaged: over pooled sessions, a
    mean that differs from day to day would pass for explained variance.

    Args:
        paths: session files; all with the same channels, and the outputs in the same units.
        kind: "wiener", "kalman", "alignnet" or "gru"; the last two need the extra `train`.
        bin_width_s: of the model, 0.001 to 0.25 s.
        outputs: names of behaviour columns; None for all of the first session's.
        holdout: part of each session's labelled time that is held out, in (0, 0.5].
        seed: places the events of counts that are coarser than `bin_width_s`, and of a network's training.
        steady_state: for a Kalman filter, fold the gain that it settles at instead of keeping its covariance.
        device: to train a network on: "auto", "cpu", "cuda" …
        progress: told how far the work is.

    Raises:
        RtdecodeError: an argument is out of its range; a session cannot be read, has no behaviour, lacks
            an output, is too short, or does not fit the others.
    """
    started = time.perf_counter()
    report: Progress = progress if progress is not None else _ignore
    fitter = FITTERS.get(kind)
    if fitter is None:
        raise RtdecodeError(
            f"this rtdecode fits no model of kind {kind!r}", mend=f"use --kind {' or '.join(FITTERS)}"
        )
    if steady_state and kind != "kalman":
        raise RtdecodeError(f"a {kind} model has no steady state", mend="leave --steady-state out")
    if device != "auto" and kind not in NETWORKS:
        raise RtdecodeError(f"a {kind} model is not trained on a device", mend="leave --device out")
    if not MIN_BIN_WIDTH_S <= bin_width_s <= MAX_BIN_WIDTH_S:
        raise RtdecodeError(
            f"a bin width of {bin_width_s} s", mend=f"give {MIN_BIN_WIDTH_S} to {MAX_BIN_WIDTH_S} s"
        )
    check_holdout(holdout)
    if outputs is not None and not outputs:
        raise RtdecodeError("no output to decode", mend="name some with --outputs, or leave it out for all")
    if not paths:
        raise RtdecodeError("no session to fit", mend="name at least one session file")

    parts: list[_Part] = []
    for path in paths:
        report(f"reading {Path(path).name}", 0.3 * len(parts) / len(paths))
        part = _read_part(Path(path), bin_width_s, outputs, holdout, seed)
        if parts:
            _check_same(parts[0], part)
        parts.append(part)
        outputs = part.names

    report(f"fitting the {kind} model", 0.3)
    described = _described_outputs(parts)
    data = TrainingSet(
        counts=[part.train_counts for part in parts],
        targets=[part.train_targets for part in parts],
        outputs=described,
        bin_width_s=bin_width_s,
        names=_distinct([part.session.name for part in parts]),
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
            n_channels=parts[0].session.n_channels,
            channel_mask=fitted.channel_mask,
            outputs=described,
            count_max=count_max_at(bin_width_s),
            run=fitted.run,
            train=fitted.train,
            widths=fitted.widths,
            grid_bits=fitted.grid_bits,
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
    """One session, binned and split."""

    path: Path
    sha256: str
    session: Session
    binned: BinnedSession
    names: tuple[str, ...]
    units: tuple[str, ...]
    targets: NDArray[np.float32]
    train: NDArray[np.bool_]
    held_out: NDArray[np.bool_]

    @property
    def train_counts(self) -> NDArray[np.uint8]:
        return self.binned.counts[: self._train_end]

    @property
    def train_targets(self) -> NDArray[np.float32]:
        known = self.train[: self._train_end, np.newaxis]
        return np.where(known, self.targets[: self._train_end], np.float32(np.nan))

    @property
    def _train_end(self) -> int:
        return int(np.flatnonzero(self.train)[-1]) + 1

    def provenance(self) -> dict[str, Any]:
        """What to remember of the session; the file's name without its folder, which is nobody's business."""
        return {
            "name": self.session.name,
            "file": self.path.name,
            "sha256": self.sha256,
            "date": self.session.attrs.get("date", ""),
            "train_s": float(self.train.sum() * self.binned.bin_width_s),
            "holdout_s": float(self.held_out.sum() * self.binned.bin_width_s),
            "synthetic_times": self.binned.synthetic_times,
        }


def _read_part(
    path: Path, bin_width_s: float, outputs: tuple[str, ...] | None, holdout: float, seed: int
) -> _Part:
    session = read_session(path)
    behavior = session.behavior
    if behavior is None or not behavior.names:
        raise RtdecodeError(
            "has no behaviour to learn from", where=str(path), mend="record with --behavior NAME"
        )
    names = outputs if outputs is not None else behavior.names
    columns = [_column(name, behavior.names, path) for name in names]
    binned = bin_session(session, bin_width_s, seed)
    targets = behavior_at(behavior, binned.t_bin)[:, columns]
    labelled = _rows_known(targets)
    if not labelled.any():
        raise RtdecodeError(
            f"behaviour ({_span(behavior.time)}) and spikes ({_span(binned.t_bin)}) do not meet in time",
            where=str(path),
            mend="check that both were stamped by one clock",
        )
    train, held_out = chronological_split(labelled, holdout)
    needed_s = max(MIN_TRAIN_S / (1.0 - holdout), MIN_HOLDOUT_S / holdout)
    labelled_s = float(labelled.sum() * bin_width_s)
    if labelled_s < needed_s:
        raise RtdecodeError(
            f"has {labelled_s:.1f} s of spikes with behaviour; a fit that holds out {holdout:g} of it "
            f"needs {needed_s:.0f} s",
            where=str(path),
            mend="use a longer session",
        )
    return _Part(
        path=path,
        sha256=_sha256(path),
        session=session,
        binned=binned,
        names=names,
        units=tuple(behavior.units[column] for column in columns),
        targets=targets,
        train=train,
        held_out=held_out,
    )


def _distinct(names: list[str]) -> list[str]:
    """The names, those that come again with a number."""
    return [
        f"{name} {names[:i].count(name) + 1}" if name in names[:i] else name for i, name in enumerate(names)
    ]


def _rows_known(targets: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(targets).all(axis=1), dtype=np.bool_)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _span(time_s: NDArray[np.float64]) -> str:
    return f"{time_s[0]:.1f} to {time_s[-1]:.1f} s" if len(time_s) else "none"


def _column(name: str, names: tuple[str, ...], path: Path) -> int:
    if name not in names:
        raise RtdecodeError(
            f"has no behaviour called {name!r}, but {', '.join(names)}",
            where=str(path),
            mend="name some of these with --outputs",
        )
    return names.index(name)


def _check_same(first: _Part, other: _Part) -> None:
    """Refuse a session that cannot be decoded by one model together with the first one."""
    where, mend = f"{first.path} and {other.path}", "fit them one by one"
    if other.session.n_channels != first.session.n_channels:
        raise RtdecodeError(
            f"{first.session.n_channels} and {other.session.n_channels} channels", where=where, mend=mend
        )
    for name, unit, other_unit in zip(first.names, first.units, other.units, strict=True):
        if unit != other_unit:
            raise RtdecodeError(f"{name} is in {unit!r} and {other_unit!r}", where=where, mend=mend)


def _described_outputs(parts: Sequence[_Part]) -> tuple[Output, ...]:
    labels = np.concatenate([part.targets[part.train] for part in parts]).astype(np.float64)
    described = []
    for name, units, column in zip(parts[0].names, parts[0].units, labels.T, strict=True):
        if (column == column[0]).all():
            raise RtdecodeError(
                f"the behaviour {name!r} is {column[0]:g} throughout",
                where=", ".join(str(part.path) for part in parts),
                mend="leave it out with --outputs",
            )
        described.append(Output(name, units, column.mean(), column.std(), infer_role(name, units)))
    return tuple(described)


def _score(artifact: ModelArtifact, part: _Part) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    decoder = load_decoder(artifact)
    values = np.empty(part.targets.shape, dtype=np.float32)
    decoder.run(part.binned.counts, values)
    targets = part.targets[part.held_out]
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
    for width_s in sorted({_recorded_width_s(part) for part in parts if part.binned.synthetic_times}):
        which = [part.session.name for part in parts if _recorded_width_s(part) == width_s]
        notes.append(
            f"counts of {1e3 * width_s:g} ms were spread at random inside their bins (seed {seed}) and the "
            f"behaviour was interpolated: nothing finer than {1e3 * width_s:g} ms is real "
            f"({', '.join(which)})"
        )
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


def _recorded_width_s(part: _Part) -> float:
    return part.session.counts.bin_width_s if part.session.counts is not None else 0.0


def _ignore(_what: str, _done: float) -> None:
    pass
