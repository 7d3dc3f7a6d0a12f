"""A session in the bins of the model that is calibrated to it: its training bins and its test bins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.data.blocks import only_blocks
from rtdecode.calibrate.data.checks import check_arrays_of, check_channels, output_columns
from rtdecode.calibrate.data.columns import unlabelled
from rtdecode.calibrate.data.features import described_features, reading
from rtdecode.calibrate.data.recorded import without_unrecorded
from rtdecode.calibrate.data.refit_labels import REFIT, refit_labels
from rtdecode.calibrate.data.sessions import LabelledSession, file_sha256
from rtdecode.calibrate.data.split_session import SplitSession, split_session
from rtdecode.calibrate.data.splits import LAST_FIFTH
from rtdecode.errors import RtdecodeError
from rtdecode.session.bins import behavior_at, bin_session
from rtdecode.session.doctor import examine
from rtdecode.session.layout import Session

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

#: What to do about a session that the base does not fit.
ANOTHER_BASE = "name another base with --base, or use spikes alone with --rung unsup"


def calibration_session(
    session: Session,
    base: ModelArtifact,
    *,
    labels_optional: bool = False,
    seed: int = 0,
    refit: bool = False,
    blocks: Sequence[str] = (),
) -> SplitSession:
    """Bin and label a session for the calibration of a model.

    Args:
        session: as read from a file.
        base: the model to calibrate.
        labels_optional: ignore behaviour that does not fit the model.
        seed: random seed of the event times of counts that are coarser than the bins.
        refit: label with intended velocities towards the trials' targets instead of with behaviour, at the
            speed of the base's labels (`label_speed`).
        blocks: names of the blocks to use; () for the whole session.

    Raises:
        RtdecodeError: the session was not read from a file, has other channels than the model, lacks one of
            its features, or (unless `labels_optional`) has behaviour but not what the model decodes, or in
            other units; for `refit`, it has no trials, targets or cursor; it lacks a block.
    """
    if session.path is None:
        raise RtdecodeError(
            "the session has no file, so a model cannot name it", where=session.name, fix="write it first"
        )
    path = session.path
    check_channels(base, session.n_channels, str(path), "name a base of the same array with --base")
    check_arrays_of(base, session)
    binned = only_blocks(session, bin_session(session, base.bin_width_s, seed), blocks)
    if not len(binned.counts):
        raise RtdecodeError(
            f"is shorter than a bin of {1e3 * base.bin_width_s:g} ms",
            where=str(path),
            fix="record a longer session",
        )
    labels = refit_labels(session, binned.t_bin, base.outputs, label_speed(base)) if refit else None
    targets = (
        _recorded(session, binned.t_bin, base, str(path), labels_optional)
        if labels is None
        else labels.targets
    )
    targets, missing = without_unrecorded(session, binned, targets)
    labelled = LabelledSession(
        path=path,
        sha256=file_sha256(path),
        session=session,
        binned=binned,
        names=base.output_names,
        units=tuple(output.units for output in base.outputs),
        targets=targets,
        refit=labels,
        blocks=tuple(blocks),
        notes=(
            *session.notes,
            *map(str, examine(session)),
            *missing,
            *unlabelled(targets, base.output_names, session.name),
        ),
    )
    day = split_session(labelled, LAST_FIFTH)
    read = [feature.name for feature in base.features]
    return replace(day, of=reading(labelled, described_features([labelled], [day.end], read)))


def label_speed(base: ModelArtifact) -> float | None:
    """The speed of intended velocities for a base, in the units of its velocities.

    That of the labels it was trained on, if they were intended velocities; else the root mean square speed of
    its behaviour, so that a model moves about as fast after as before. None without velocities.
    """
    for seen in reversed(base.provenance.get("sessions", ())):
        if seen.get("labels") == REFIT:
            return float(seen["speed"])
    squares = [output.mean**2 + output.sd**2 for output in base.outputs if output.role == "velocity"]
    return math.sqrt(sum(squares)) if squares else None


def _recorded(session: Session, t_bin: F8, base: ModelArtifact, where: str, optional: bool) -> F4:
    behavior = session.behavior
    if behavior is not None and behavior.names:
        try:
            columns = output_columns(base.outputs, behavior.names, behavior.units, where, ANOTHER_BASE)
            return behavior_at(behavior, t_bin)[:, columns]
        except RtdecodeError:
            if not optional:
                raise
    return np.full((len(t_bin), len(base.outputs)), np.nan, np.float32)
