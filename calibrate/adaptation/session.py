"""A session in the bins of the model that is calibrated to it: its training bins and its test bins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.data.blocks import only_blocks
from rtdecode.calibrate.data.checks import check_channels, output_columns
from rtdecode.calibrate.data.refit_labels import REFIT, RefitLabels, label_provenance, refit_labels
from rtdecode.calibrate.data.sessions import file_sha256
from rtdecode.calibrate.data.splits import LAST_FIFTH, chronological_split
from rtdecode.errors import RtdecodeError
from rtdecode.models.alive import alive_channels
from rtdecode.session.bins import behavior_at, bin_session
from rtdecode.session.layout import Session

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: What to do about a session that the base does not fit.
ANOTHER_BASE = "name another base with --base, or use spikes alone with --rung unsup"


@dataclass(frozen=True, eq=False)
class CalibrationSession:
    """One session in the bins of a model.

    Attributes:
        path, sha256: of the file.
        name: of the session.
        date: as the file has it, "" where it has none.
        bin_width_s: seconds.
        counts: u1[T, C].
        targets: f4[T, D], the model's outputs at the end of each bin; NaN where unknown.
        training, test: bool[T], the labelled bins of each part; the test part is the last fifth.
        synthetic_times: whether events were placed at random in coarser bins.
        refit: the labels, if they are intended velocities (ReFIT); None if they were recorded.
        blocks: names of the blocks that are used; () for the whole session.
    """

    path: Path
    sha256: str
    name: str
    date: str
    bin_width_s: float
    counts: NDArray[np.uint8]
    targets: F4
    training: Mask
    test: Mask
    synthetic_times: bool
    refit: RefitLabels | None = None
    blocks: tuple[str, ...] = ()

    @property
    def training_s(self) -> float:
        """Labelled time of the training part."""
        return float(self.training.sum() * self.bin_width_s)

    @property
    def test_s(self) -> float:
        """Labelled time of the test part."""
        return float(self.test.sum() * self.bin_width_s)

    @property
    def labelled(self) -> bool:
        """Whether there is any label to train on."""
        return bool(self.training.any())

    @property
    def end(self) -> int:
        """Number of bins that training may use: those before the test part, all without labels."""
        return int(np.flatnonzero(self.training)[-1]) + 1 if self.labelled else len(self.counts)

    @property
    def training_targets(self) -> F4:
        """f4[end, D], NaN outside the training part."""
        training = self.training[: self.end, np.newaxis]
        return np.where(training, self.targets[: self.end], np.float32(np.nan))

    @property
    def test_targets(self) -> F4:
        """f4[test, D], the labels that models are scored against; 0 throughout for an output without scores.

        With intended velocities the positions have none: the cursor was where the model in use put it, which
        would be right by definition.
        """
        targets = self.targets[self.test].copy()
        if self.refit is not None:
            targets[:, [output.role != "velocity" for output in self.refit.outputs]] = 0.0
        return targets

    def statistics(self, count_max: int) -> tuple[F8, F8, Mask]:
        """Mean and SD f8[C] of the clipped counts before the test part, and which channels fire, bool[C]."""
        # In float32, as networks compute theirs.
        clipped = np.minimum(self.counts[: self.end], np.uint8(count_max)).astype(np.float32)
        mean, sd = clipped.mean(axis=0), clipped.std(axis=0)
        return mean.astype(np.float64), sd.astype(np.float64), alive_channels(clipped, self.bin_width_s)

    def provenance(self) -> dict[str, Any]:
        """What the calibrated model keeps of the session."""
        return {
            "name": self.name,
            "file": self.path.name,
            "sha256": self.sha256,
            "date": self.date,
            "synthetic_times": self.synthetic_times,
            "train_s": self.training_s,
            "holdout_s": self.test_s,
        } | label_provenance(self.refit, self.blocks)


def calibration_session(
    session: Session,
    base: ModelArtifact,
    *,
    labels_optional: bool = False,
    seed: int = 0,
    refit: bool = False,
    blocks: Sequence[str] = (),
) -> CalibrationSession:
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
        RtdecodeError: the session was not read from a file, has other channels than the model, or (unless
            `labels_optional`) has behaviour but not what the model decodes, or in other units; for `refit`,
            it has no trials, targets or cursor; it lacks a block.
    """
    if session.path is None:
        raise RtdecodeError(
            "the session has no file, so a model cannot name it", where=session.name, fix="write it first"
        )
    path = session.path
    check_channels(base, session.n_channels, str(path), "name a base of the same array with --base")
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
    labelled: Mask = np.asarray(np.isfinite(targets).all(axis=1))
    training, test = chronological_split(labelled, LAST_FIFTH)
    return CalibrationSession(
        path=path,
        sha256=file_sha256(path),
        name=session.name,
        date=str(session.attrs.get("date", "")),
        bin_width_s=base.bin_width_s,
        counts=binned.counts,
        targets=targets,
        training=training,
        test=test,
        synthetic_times=binned.synthetic_times,
        refit=labels,
        blocks=tuple(blocks),
    )


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
