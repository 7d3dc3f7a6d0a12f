"""Sessions divided among ranks: each reads and holds its own, and has the metadata of all others.

sessions = read_shared(paths, 0.064, ("x", "y"), 0, validation={3}, ranks=ranks, progress=ignore)
held(sessions[0])       # True on one rank only
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtdecode.artifact import Output
from rtdecode.calibrate.data.sessions import (
    LabelledSession,
    check_bin_width,
    check_compatible,
    describe_outputs,
    outputs_with,
    read_all,
    read_labelled,
)
from rtdecode.calibrate.progress import Progress
from rtdecode.calibrate.training.distributed.duration import duration_s
from rtdecode.calibrate.training.distributed.ranks import Ranks
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F4, F8, Mask


def read_shared(
    paths: Sequence[Path | str],
    bin_width_s: float,
    outputs: tuple[str, ...] | None,
    seed: int,
    validation: Collection[int],
    ranks: Ranks,
    progress: Progress,
) -> list[LabelledSession]:
    """All sessions in the order of `paths`, those of other ranks without their samples.

    Args:
        paths, bin_width_s, outputs, seed, progress: see `read_all`.
        validation: numbers of the validation sessions.
        ranks: among which sessions are divided.

    Raises:
        RtdecodeError: as `read_all`, for a session of this rank or for two that do not fit each other; or
            there are more ranks than training sessions.
    """
    if not ranks.several:
        return read_all(paths, bin_width_s, outputs, seed, progress)
    check_bin_width(bin_width_s)
    if not paths:
        raise RtdecodeError("there is no session to train on", fix="name at least one session file")
    if ranks.n > len(paths) - len(validation):
        raise RtdecodeError(
            f"{ranks.n} processes cannot share {len(paths) - len(validation)} training sessions",
            fix="start at most one process per training session",
        )
    durations = ranks.union({i: duration_s(paths[i]) for i in range(ranks.rank, len(paths), ranks.n)})
    own = [i for i, rank in enumerate(shares(durations, validation, ranks.n)) if rank == ranks.rank]
    if outputs is None:
        # The first session defines the outputs, on whichever rank it is.
        outputs = ranks.from_lead(lambda: read_labelled(Path(paths[0]), bin_width_s, None, seed).names)
    read: dict[int, LabelledSession] = {}
    for i in own:
        progress(f"reading {Path(paths[i]).name}", len(read) / len(own))
        read[i] = read_labelled(Path(paths[i]), bin_width_s, outputs, seed)
    described = ranks.union({i: _without_samples(day) for i, day in read.items()})
    for other in described[1:]:
        check_compatible(described[0], other)
    return [read.get(i, day) for i, day in enumerate(described)]


def shares(durations: Sequence[float], validation: Collection[int], n_ranks: int) -> list[int]:
    """The rank of each session: the longest first, each to the rank that has least so far.

    Training sessions are assigned first, so that ranks have about as much of them, and each has one if there
    are enough; validation sessions are assigned afterwards.

    Args:
        durations: of the sessions, seconds.
        validation: numbers of the validation sessions.
        n_ranks: number of ranks.
    """
    ranks, loads = [0] * len(durations), [(0.0, 0)] * n_ranks
    for i in sorted(range(len(durations)), key=lambda i: (i in validation, -durations[i])):
        ranks[i] = min(range(n_ranks), key=loads.__getitem__)
        load, number = loads[ranks[i]]
        loads[ranks[i]] = (load + durations[i], number + 1)
    return ranks


def held(day: LabelledSession) -> bool:
    """Whether this rank holds the session's samples."""
    return len(day.targets) > 0


def describe_shared(
    sessions: Sequence[LabelledSession], train: Sequence[Mask], ranks: Ranks
) -> tuple[Output, ...]:
    """`describe_outputs` of the sessions of all ranks; mean and SD differ in their last bits at most.

    Raises:
        RtdecodeError: as `describe_outputs`.
    """
    if not ranks.several:
        return describe_outputs(sessions, train)
    parts = ranks.union(
        {
            i: _Moments.of(day.targets[bins])
            for i, (day, bins) in enumerate(zip(sessions, train, strict=True))
            if bins.any()
        }
    )
    n = np.maximum(sum(part.n for part in parts), 1)
    mean = np.sum([part.n * part.mean for part in parts], axis=0) / n
    variance = np.sum([part.n * (part.variance + (part.mean - mean) ** 2) for part in parts], axis=0) / n
    lowest, highest = (np.min([p.lowest for p in parts], axis=0), np.max([p.highest for p in parts], axis=0))
    return outputs_with(sessions, lowest, highest, mean, np.sqrt(variance))


@dataclass(frozen=True, eq=False)
class _Moments:
    """Number, mean, variance, lowest and highest value f8[D] of the labels of each output."""

    n: F8
    mean: F8
    variance: F8
    lowest: F8
    highest: F8

    @classmethod
    def of(cls, labels: F4) -> _Moments:
        known, exact = np.isfinite(labels), labels.astype(np.float64)
        n = known.sum(axis=0, dtype=np.float64)
        mean = exact.sum(axis=0, where=known) / np.maximum(n, 1)
        variance = ((exact - mean) ** 2).sum(axis=0, where=known) / np.maximum(n, 1)
        lowest, highest = (
            exact.min(axis=0, where=known, initial=np.inf), exact.max(axis=0, where=known, initial=-np.inf)
        )  # fmt: skip
        return cls(n, mean, variance, lowest, highest)


def _without_samples(day: LabelledSession) -> LabelledSession:
    """The metadata of a session, for other ranks: everything but its rows."""
    session, binned = day.session, day.binned
    events = session.events
    if events is not None:
        events = replace(events, time=events.time[:0], channel=events.channel[:0], unit=None)
    counts = session.counts
    if counts is not None:
        counts = replace(counts, values=counts.values[:0].copy())
    features = session.features
    if features is not None:
        features = replace(features, time=features.time[:0].copy(), values=features.values[:0].copy())
    session = replace(session, behavior=None, trials=None, decoded=None, log=())
    return replace(
        day,
        session=replace(session, events=events, counts=counts, features=features),
        binned=replace(
            binned,
            counts=binned.counts[:0].copy(),
            t_bin=binned.t_bin[:0].copy(),
            features=None,
            starts=binned.starts[:1].copy(),
            number=None,
        ),
        targets=day.targets[:0].copy(),
    )
