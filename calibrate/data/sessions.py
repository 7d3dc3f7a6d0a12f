"""Recorded sessions for training: binned, labelled, and checked against each other.

sessions = read_all(["monday.h5", "tuesday.h5"], bin_width_s=0.064, outputs=("x", "y"))
sessions[0].binned.counts, sessions[0].targets      # u1[T, C], f4[T, 2]
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtdecode.artifact import Feature, Output, infer_role
from rtdecode.calibrate.data.blocks import only_blocks
from rtdecode.calibrate.data.columns import recorded_columns, unlabelled
from rtdecode.calibrate.data.cursor import cursor_outputs
from rtdecode.calibrate.data.recorded import without_unrecorded
from rtdecode.calibrate.data.refit_labels import RECORDED, REFIT, RefitLabels, refit_labels
from rtdecode.calibrate.data.splits import is_labelled
from rtdecode.calibrate.progress import Progress, ignore
from rtdecode.decode.inputs import with_codes
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F4, F8, I1, Inputs, Mask
from rtdecode.session.bins import SAME_WIDTH, BinnedSession, behavior_at, bin_session
from rtdecode.session.doctor import examine
from rtdecode.session.layout import Session
from rtdecode.session.read import read_session

MIN_BIN_WIDTH_S, MAX_BIN_WIDTH_S = 0.001, 0.25


@dataclass(frozen=True, eq=False)
class LabelledSession:
    """One session, binned, with the behaviour at the end of each bin.

    Attributes:
        path: of its file.
        sha256: of the file.
        session: everything in the file.
        binned: T bins.
        names, units: of the D columns of behaviour.
        targets: f4[T, D], in these units; NaN where unknown.
        refit: the labels, if they are intended velocities (ReFIT); None if they were recorded.
        blocks: names of the blocks that `binned` holds; () for the whole session.
        notes: what was left out of the session or its labels, a sentence each.
        features: those that a model reads, with the statistics of their codes (`features.reading`).
        codes: i1[T, F] of them; None without any.
    """

    path: Path
    sha256: str
    session: Session
    binned: BinnedSession
    names: tuple[str, ...]
    units: tuple[str, ...]
    targets: F4
    refit: RefitLabels | None = None
    blocks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    features: tuple[Feature, ...] = ()
    codes: I1 | None = None

    @property
    def labelled_bins(self) -> Mask:
        """bool[T], bins whose behaviour is finite in any column."""
        return is_labelled(self.targets)

    @property
    def labels(self) -> str:
        """What `targets` are: "recorded" behaviour, or "refit", intended velocities."""
        return RECORDED if self.refit is None else REFIT

    @property
    def recorded_width_s(self) -> float | None:
        """Width of the recorded bins as announced, seconds; None where single spikes were recorded."""
        if self.session.events is not None or self.session.counts is None:
            return None
        return self.session.counts.nominal_width_s

    @property
    def inputs(self) -> Inputs:
        """What a model reads: the counts; with features i2[T, C + F], their codes behind them."""
        return with_codes(self.binned.counts, self.codes)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Of the session's features; () without any."""
        return () if self.session.features is None else self.session.features.names

    def provenance(self) -> dict[str, Any]:
        """What a model keeps of the session; the file's name without its folder, which is private."""
        kept: dict[str, Any] = {
            "name": self.session.name,
            "file": self.path.name,
            "sha256": self.sha256,
            "date": self.session.attrs.get("date", ""),
            "synthetic_times": self.binned.synthetic_times,
        }
        if self.blocks:
            kept["blocks"] = list(self.blocks)
        if self.refit is not None:
            kept |= {"labels": REFIT, "speed": self.refit.speed, "cursor": self.refit.cursor}
        return kept


def check_bin_width(bin_width_s: float) -> float:
    """`bin_width_s`, if decoders support it.

    Raises:
        RtdecodeError: it is not in [0.001, 0.25].
    """
    if not MIN_BIN_WIDTH_S <= bin_width_s <= MAX_BIN_WIDTH_S:
        raise RtdecodeError(
            f"the bin width must be {MIN_BIN_WIDTH_S} to {MAX_BIN_WIDTH_S} s, got {bin_width_s}",
            fix="give one in this range, such as --bin-width 0.02",
        )
    return bin_width_s


def read_all(
    paths: Sequence[Path | str],
    bin_width_s: float,
    outputs: tuple[str, ...] | None = None,
    seed: int = 0,
    progress: Progress = ignore,
    labels: str = RECORDED,
    blocks: Sequence[str] = (),
) -> list[LabelledSession]:
    """Read the sessions of one model.

    Args:
        paths: session files.
        bin_width_s: seconds.
        outputs: names of behaviour columns; None for all of the first session's, or for the cursor's
            velocities where labels are "refit".
        seed: random seed of the event times of counts that are coarser than the bins.
        progress: called with the current file and the fraction of files that are read.
        labels: "recorded" for behaviour, or "refit" for intended velocities towards the trials' targets.
        blocks: names of the blocks to use; () for the whole of each session.

    Raises:
        RtdecodeError: no path, one that cannot be read or lacks an output, or sessions that cannot
            be used together (`check_compatible`).
    """
    check_bin_width(bin_width_s)
    if outputs is not None and not outputs:
        raise RtdecodeError(
            "there is no output to decode", fix="name some with --outputs, or leave it out for all"
        )
    if labels not in (RECORDED, REFIT):
        raise RtdecodeError(f"there are no labels called {labels!r}", fix=f"use {RECORDED} or {REFIT}")
    if not paths:
        raise RtdecodeError("there is no session to train on", fix="name at least one session file")
    sessions: list[LabelledSession] = []
    for path in paths:
        progress(f"reading {Path(path).name}", len(sessions) / len(paths))
        labelled = read_labelled(Path(path), bin_width_s, outputs, seed, labels, blocks)
        if sessions:
            check_compatible(sessions[0], labelled)
        sessions.append(labelled)
        outputs = labelled.names
    return sessions


def read_labelled(
    path: Path,
    bin_width_s: float,
    outputs: tuple[str, ...] | None = None,
    seed: int = 0,
    labels: str = RECORDED,
    blocks: Sequence[str] = (),
) -> LabelledSession:
    """Read one session; arguments as in `read_all`.

    Raises:
        RtdecodeError: it cannot be read, has no behaviour (or trials, targets and cursor), lacks an output or
            a block, or has no label in the time of its spikes.
    """
    session, refit = read_session(path), None
    unknown: tuple[str, ...] = ()
    recorded = None if labels == REFIT else recorded_columns(session, outputs, path)
    binned = only_blocks(session, bin_session(session, bin_width_s, seed), blocks)
    if recorded is None:
        refit = refit_labels(session, binned.t_bin, cursor_outputs(session, outputs))
        names, units = ([getattr(output, part) for output in refit.outputs] for part in ("name", "units"))
        targets = refit.targets
    else:
        behavior, columns, unknown = recorded
        names, units = ([texts[i] for i in columns] for texts in (behavior.names, behavior.units))
        targets = behavior_at(behavior, binned.t_bin)[:, columns]
        if not is_labelled(targets).any():
            raise RtdecodeError(
                f"behaviour ({_span(behavior.time)}) and spikes ({_span(binned.t_bin)}) do not overlap in "
                "time",
                where=str(path),
                fix="check that both were stamped by one clock",
            )
    targets, missing = without_unrecorded(session, binned, targets)
    return LabelledSession(
        path=path,
        sha256=file_sha256(path),
        session=session,
        binned=binned,
        names=tuple(names),
        units=tuple(units),
        targets=targets,
        refit=refit,
        blocks=tuple(blocks),
        notes=(
            *session.notes,
            *map(str, examine(session)),
            *unknown,
            *missing,
            *unlabelled(targets, names, session.name),
        ),
    )


def check_compatible(first: LabelledSession, other: LabelledSession) -> None:
    """Refuse a session that cannot be used for one model together with the first one.

    Raises:
        RtdecodeError: another number of channels, other units, or spikes recorded in bins of another width.
    """
    where, fix = f"{first.path} and {other.path}", "use them one by one"
    if other.session.n_channels != first.session.n_channels:
        raise RtdecodeError(
            f"have {first.session.n_channels} and {other.session.n_channels} channels", where=where, fix=fix
        )
    # Single spikes fit any bins, so they are compatible with counts of the model's width.
    widths = [labelled.recorded_width_s for labelled in (first, other)]
    own, others = (
        labelled.binned.bin_width_s if w is None else w
        for w, labelled in zip(widths, (first, other), strict=True)
    )
    if not math.isclose(own, others, rel_tol=SAME_WIDTH):
        recorded = " and ".join("single spikes" if w is None else f"counts of {1e3 * w:g} ms" for w in widths)
        raise RtdecodeError(f"hold {recorded}", where=where, fix=fix)
    for name, unit, other_unit in zip(first.names, first.units, other.units, strict=True):
        if unit != other_unit:
            raise RtdecodeError(f"{name} is in {unit!r} and {other_unit!r}", where=where, fix=fix)


def describe_outputs(sessions: Sequence[LabelledSession], training: Sequence[Mask]) -> tuple[Output, ...]:
    """The outputs, with mean and SD of their training labels.

    Args:
        sessions: of the same columns.
        training: bool[T] for each, its training bins.

    Raises:
        RtdecodeError: a column has no label, or does not vary.
    """
    parts = [session.targets[bins] for session, bins in zip(sessions, training, strict=True)]
    known = [column[np.isfinite(column)] for column in np.concatenate(parts).astype(np.float64).T]
    columns = [
        (c.min(initial=np.inf), c.max(initial=-np.inf), c.sum() / max(c.size, 1), c.std() if c.size else 0.0)
        for c in known
    ]
    return outputs_with(sessions, *zip(*columns, strict=True))


def outputs_with(
    sessions: Sequence[LabelledSession],
    lowest: Sequence[float],
    highest: Sequence[float],
    mean: Sequence[float],
    sd: Sequence[float],
) -> tuple[Output, ...]:
    """The outputs of sessions whose labels have these values, one per column.

    Raises:
        RtdecodeError: a column's lowest value is its highest, or above it: there is none.
    """
    first, described = sessions[0], []
    for i, (name, units) in enumerate(zip(first.names, first.units, strict=True)):
        if lowest[i] >= highest[i]:
            of = f"{lowest[i]:g}" if lowest[i] == highest[i] else "unknown"
            raise RtdecodeError(
                f"the behaviour {name!r} is {of} throughout",
                where=", ".join(str(session.path) for session in sessions),
                fix="leave it out with --outputs",
            )
        described.append(Output(name, units, float(mean[i]), float(sd[i]), infer_role(name, units)))
    return tuple(described)


def distinct_names(sessions: Sequence[LabelledSession]) -> list[str]:
    """The sessions' names; a repeated one gets a number."""
    names = [labelled.session.name for labelled in sessions]
    return [
        f"{name} {names[:i].count(name) + 1}" if name in names[:i] else name for i, name in enumerate(names)
    ]


def session_notes(sessions: Sequence[LabelledSession], seed: int) -> list[str]:
    """Warnings about what was left out and what depends on events placed at random, a sentence each."""
    notes = [note for labelled in sessions for note in labelled.notes]
    spread = [labelled for labelled in sessions if labelled.binned.synthetic_times]
    for width_s in sorted({labelled.recorded_width_s or 0.0 for labelled in spread}):
        which = [labelled.session.name for labelled in spread if labelled.recorded_width_s == width_s]
        notes.append(
            f"counts of {1e3 * width_s:g} ms were spread at random inside their bins (seed {seed}) and the "
            f"behaviour was interpolated: nothing finer than {1e3 * width_s:g} ms is real "
            f"({', '.join(which)})"
        )
    return notes


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _span(time_s: F8) -> str:
    return f"{time_s[0]:.1f} to {time_s[-1]:.1f} s" if len(time_s) else "none"
