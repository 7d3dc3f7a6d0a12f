"""This morning's session as a calibration sees it: what may be learnt from, and what only judges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact, Output
from rtdecode.calibrate.data.blocks import only_blocks
from rtdecode.calibrate.data.refit_labels import REFIT, IntentionLabels, intention_labels, origin_of_labels
from rtdecode.calibrate.data.sessions import file_sha256
from rtdecode.calibrate.data.splits import chronological_split
from rtdecode.errors import RtdecodeError
from rtdecode.models.alive import alive_channels
from rtdecode.session.bins import behavior_at, bin_session
from rtdecode.session.layout import Behavior, Session
from rtdecode.session.read import read_session

F8 = NDArray[np.float64]

#: Last part of the labelled time, which judges a new model and is not learnt from.
HELD_OUT = 0.2

#: Last part of what is learnt from, by which choices are made.
CHOSEN_BY = 0.2


@dataclass(frozen=True, eq=False)
class Today:
    """One session in the bins of a model.

    Attributes:
        path, sha256: of the file.
        name: of the session.
        date: as the file says, "" where it does not.
        bin_width_s: seconds.
        counts: u1[T, C].
        targets: f4[T, D], the model's outputs at the end of each bin; NaN where unknown.
        learnt, held_out: bool[T], bins that are learnt from, and those that only judge.
        synthetic_times: whether events were placed at random in coarser bins.
        intention: what the targets are, if they are labels of intention; None if they were recorded.
        blocks: of the session that this is; () for all of it.
    """

    path: Path
    sha256: str
    name: str
    date: str
    bin_width_s: float
    counts: NDArray[np.uint8]
    targets: NDArray[np.float32]
    learnt: NDArray[np.bool_]
    held_out: NDArray[np.bool_]
    synthetic_times: bool
    intention: IntentionLabels | None = None
    blocks: tuple[str, ...] = ()

    @property
    def learnt_s(self) -> float:
        """Labelled time that is learnt from."""
        return float(self.learnt.sum() * self.bin_width_s)

    @property
    def held_out_s(self) -> float:
        """Labelled time that judges."""
        return float(self.held_out.sum() * self.bin_width_s)

    @property
    def labelled(self) -> bool:
        """Whether any behaviour is known."""
        return bool(self.learnt.any())

    @property
    def end(self) -> int:
        """Where the bins end that may be looked at: the first of those that judge, all without labels."""
        return int(np.flatnonzero(self.learnt)[-1]) + 1 if self.labelled else len(self.counts)

    @property
    def learnt_targets(self) -> NDArray[np.float32]:
        """f4[end, D], NaN where not learnt from."""
        known = self.learnt[: self.end, np.newaxis]
        return np.where(known, self.targets[: self.end], np.float32(np.nan))

    @property
    def judging_targets(self) -> NDArray[np.float32]:
        """f4[held out, D], what models are judged by; an output that judges nobody is 0 throughout.

        Where labels are of intention those are the positions: the cursor went where the model in use put it,
        which would be right by definition.
        """
        judging = self.targets[self.held_out].copy()
        if self.intention is not None:
            judging[:, [output.role != "velocity" for output in self.intention.outputs]] = 0.0
        return judging

    def statistics(
        self, count_max: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Mean and SD f8[C] of the clipped counts that may be looked at, and which channels fire, bool[C]."""
        # In float32, as networks take counts up (`add_session`).
        clipped = np.minimum(self.counts[: self.end], np.uint8(count_max)).astype(np.float32)
        mean, sd = clipped.mean(axis=0), clipped.std(axis=0)
        return mean.astype(np.float64), sd.astype(np.float64), alive_channels(clipped, self.bin_width_s)

    def provenance(self) -> dict[str, Any]:
        """What to remember of the session."""
        return {
            "name": self.name,
            "file": self.path.name,
            "sha256": self.sha256,
            "date": self.date,
            "synthetic_times": self.synthetic_times,
            "train_s": self.learnt_s,
            "holdout_s": self.held_out_s,
        } | origin_of_labels(self.intention, self.blocks)


def read_today(
    path: Path,
    base: ModelArtifact,
    *,
    spikes_will_do: bool = False,
    seed: int = 0,
    refit: bool = False,
    blocks: Sequence[str] = (),
) -> Today:
    """Read a session in the bins of a model.

    Args:
        path: session file.
        base: the model that is to be calibrated.
        spikes_will_do: take behaviour that does not fit the model for none.
        seed: places the events of counts that are coarser than the bins.
        refit: label with intention towards the targets of the trials instead of with behaviour, at the
            speed that the base was taught (`speed_of`).
        blocks: whose trials' time is taken; () for the whole session.

    Raises:
        RtdecodeError: the session cannot be read, has other channels than the model, or (unless
            `spikes_will_do`) has behaviour but not what the model decodes, or in other units; for `refit`, it
            has no trials, targets or cursor; it lacks a block.
    """
    session = read_session(path)
    if session.n_channels != base.n_channels:
        raise RtdecodeError(
            f"has {session.n_channels} channels, and the base {base.n_channels}",
            where=str(path),
            fix="name a base of the same array with --base",
        )
    binned = only_blocks(session, bin_session(session, base.bin_width_s, seed), blocks)
    if not len(binned.counts):
        raise RtdecodeError(f"is shorter than a bin of {1e3 * base.bin_width_s:g} ms", where=str(path))
    intention = intention_labels(session, binned.t_bin, base.outputs, speed_of(base)) if refit else None
    targets = (
        _recorded(session, binned.t_bin, base, path, spikes_will_do)
        if intention is None
        else intention.targets
    )
    known: NDArray[np.bool_] = np.asarray(np.isfinite(targets).all(axis=1))
    learnt, held_out = chronological_split(known, HELD_OUT)
    return Today(
        path=path,
        sha256=file_sha256(path),
        name=session.name,
        date=str(session.attrs.get("date", "")),
        bin_width_s=base.bin_width_s,
        counts=binned.counts,
        targets=targets,
        learnt=learnt,
        held_out=held_out,
        synthetic_times=binned.synthetic_times,
        intention=intention,
        blocks=tuple(blocks),
    )


def speed_of(base: ModelArtifact) -> float | None:
    """The speed that labels of intention have for a base, in the units of its velocities.

    That of the labels it was taught, if they were of intention; else the root mean square speed of the
    behaviour it was taught, so that a model moves about as fast after as before. None without velocities.
    """
    for seen in reversed(base.provenance.get("sessions", ())):
        if seen.get("labels") == REFIT:
            return float(seen["speed"])
    squares = [output.mean**2 + output.sd**2 for output in base.outputs if output.role == "velocity"]
    return math.sqrt(sum(squares)) if squares else None


def _recorded(
    session: Session, t_bin: F8, base: ModelArtifact, path: Path, spikes_will_do: bool
) -> NDArray[np.float32]:
    targets = np.full((len(t_bin), len(base.outputs)), np.nan, np.float32)
    if session.behavior is not None and session.behavior.names:
        try:
            columns = _columns(session.behavior, base.outputs, path)
            targets = behavior_at(session.behavior, t_bin)[:, columns]
        except RtdecodeError:
            if not spikes_will_do:
                raise
    return targets


def _columns(behavior: Behavior, outputs: Sequence[Output], path: Path) -> list[int]:
    columns = []
    for output in outputs:
        if output.name not in behavior.names:
            raise RtdecodeError(
                f"has no behaviour called {output.name!r}, which the base decodes, but "
                f"{', '.join(behavior.names)}",
                where=str(path),
                fix="name another base with --base, or go by spikes alone with --rung unsup",
            )
        column = behavior.names.index(output.name)
        if behavior.units[column] != output.units:
            raise RtdecodeError(
                f"{output.name} is in {behavior.units[column]!r}, and in {output.units!r} for the base",
                where=str(path),
                fix="name a base of the same units with --base",
            )
        columns.append(column)
    return columns
