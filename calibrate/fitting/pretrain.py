"""Pretrain a network on many days, to decode a day that it has not seen.

days = ["day1.h5", "day2.h5", …]
result = pretrain_sessions(days, PretrainSettings(bin_width_s=0.064, outputs=("x", "y", "vx", "vy")))
write_artifact("base.safetensors", result.artifact)
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rtdecode.artifact import Arrays, ModelArtifact, Output
from rtdecode.calibrate.channels.statistics import channel_tensors, with_statistics
from rtdecode.calibrate.data.checks import shared_arrays, shared_labels
from rtdecode.calibrate.data.features import chosen_features, described_features, reading
from rtdecode.calibrate.data.metrics import mean_scores, nullable, r2
from rtdecode.calibrate.data.provenance import created_now
from rtdecode.calibrate.data.sessions import LabelledSession, distinct_names, session_notes
from rtdecode.calibrate.decoding import decoded
from rtdecode.calibrate.progress import Progress, ignore
from rtdecode.calibrate.run import Run
from rtdecode.calibrate.training.build import (
    check_members,
    clipped_counts,
    decoded_whole,
    export_members,
    new_members,
    read_in_start,
    training_settings,
    z_scored,
)
from rtdecode.calibrate.training.checkpoint import FileCheckpoint, LeadCheckpoint, checkpoint_files, versions
from rtdecode.calibrate.training.devices import chosen_device, multiplies_bfloat16
from rtdecode.calibrate.training.distributed.ranks import ALONE, Ranks
from rtdecode.calibrate.training.distributed.sharding import describe_shared, held, read_shared
from rtdecode.calibrate.training.ensemble import train_members
from rtdecode.calibrate.training.settings import (
    DECODE,
    MANY_DAYS,
    MANY_DAYS_SIMULATED,
    MANY_DAYS_TRAINING,
    SIMULATE,
    Augmentation,
    Sizes,
    TrainingSettings,
)
from rtdecode.calibrate.training.trainer import TrainingLog
from rtdecode.calibrate.training.windows import Recording
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F8, Mask
from rtdecode.models.export.float16 import train_in_float16
from rtdecode.models.kinds.registry import NETWORKS
from rtdecode.models.nn.network import Network

#: Values of `PretrainSettings.causality`.
CAUSAL, OFFLINE = "causal", "offline"


@dataclass(frozen=True, kw_only=True)
class PretrainSettings:
    """What is pretrained, and how.

    Attributes:
        kind: "alignnet" or "gru".
        bin_width_s: of the model, 0.001 to 0.25 s.
        outputs: names of behaviour columns; None for all of the first session's.
        features: names of the features that are read; () for counts alone, None for all.
        direction: the deployed path, "decode" or "simulate" (alignnet only, without validation days).
        causality: "causal", or "offline" for a non-causal network, which no daemon can step (alignnet only).
        validation_days: number of held-out days, evenly spaced; they are decoded from their spikes alone, and
            earlier weights are kept only if they did better there by `TrainingSettings.tolerance`.
        members: networks in the ensemble; None for the number in `sizes`, or 1 for a GRU.
        sizes: of the networks; None for those of `direction`.
        steps, batch: number of batches, and windows per batch.
        training: the other settings of the training; there is no early stopping.
        save_every_s: seconds between checkpoints.
    """

    kind: str = "alignnet"
    bin_width_s: float = 0.02
    outputs: tuple[str, ...] | None = None
    features: tuple[str, ...] | None = None
    direction: str = DECODE
    causality: str = CAUSAL
    validation_days: int = 0
    members: int | None = None
    sizes: Sizes | None = None
    steps: int = 800
    batch: int = 16
    training: TrainingSettings = MANY_DAYS_TRAINING
    save_every_s: float = 30.0

    def check(self) -> None:
        """Refuse values that do not fit together.

        Raises:
            RtdecodeError: a value is unknown, or the kind cannot do what is asked.
        """
        if self.kind not in NETWORKS:
            raise RtdecodeError(
                f"a {self.kind} model cannot be pretrained", fix=f"use --kind {' or '.join(NETWORKS)}"
            )
        for what, value, known in (
            ("direction", self.direction, (DECODE, SIMULATE)),
            ("causality", self.causality, (CAUSAL, OFFLINE)),
        ):
            if value not in known:
                raise RtdecodeError(f"there is no {what} {value!r}", fix=f"use --{what} {' or '.join(known)}")
        if self.direction == SIMULATE and not self._two_way:
            raise RtdecodeError(f"a {self.kind} model cannot simulate spikes", fix="use --kind alignnet")
        if self.direction == SIMULATE and self.validation_days:
            raise RtdecodeError(
                "validation days are decoded, which a model with --direction simulate is not trained for",
                fix="leave --validation-days out; `rtdecode simulate` scores a day",
            )
        if self.causality == OFFLINE and not self._two_way:
            raise RtdecodeError(f"a {self.kind} model is always causal", fix="use --kind alignnet")
        if self.steps < 1:
            raise RtdecodeError(f"--steps must be at least 1, got {self.steps}", fix="use --steps 800")
        if self.members is not None:
            check_members(self.kind, self.members)

    @property
    def reads_features(self) -> bool:
        """Whether features are read beside the counts: spikes are simulated without, and so are studies."""
        return self.direction == DECODE and self.causality == CAUSAL

    @property
    def _two_way(self) -> bool:
        return NETWORKS[self.kind].two_way

    @property
    def chosen_sizes(self) -> Sizes:
        """Sizes of the networks."""
        sizes = self.sizes or (MANY_DAYS_SIMULATED if self.direction == SIMULATE else MANY_DAYS)
        return sizes if self.members is None else replace(sizes, members=self.members)

    def training_on(self, recordings: Sequence[Recording], device: torch.device) -> TrainingSettings:
        """Training settings for these recordings."""
        base = replace(
            self.training,
            steps=self.steps,
            batch=self.batch,
            direction=self.direction,
            patience=self.steps,
            validate_every=max(1, self.steps // 10),
            auxiliary=self.training.auxiliary if self._two_way else 0.0,
            augmentation=Augmentation(bin_width_s=self.bin_width_s),
            mixed=multiplies_bfloat16(self.kind, device),
        )
        return training_settings(recordings, self.bin_width_s, base)


@dataclass(frozen=True, eq=False)
class PretrainResult:
    """A pretrained model.

    Attributes:
        artifact: ready to be written; folded for the last session, with the read-ins of all in train.*.
        validation: names of the validation days.
        validation_r2: f8[D], their mean R², normalised by their spikes alone; NaN without any.
        logs: how the training of each member went.
        seconds: duration.
        notes: what a user of the model must know, a sentence each.
    """

    artifact: ModelArtifact
    validation: list[str]
    validation_r2: F8
    logs: list[TrainingLog]
    seconds: float
    notes: list[str]


def pretrain_sessions(
    paths: Sequence[Path | str],
    settings: PretrainSettings | None = None,
    run: Run | None = None,
    *,
    checkpoint: Path | None = None,
    progress: Progress = ignore,
) -> PretrainResult:
    """Train one model on many sessions, each with a read-in of its own.

    All paths through AlignNet are trained at once (`AlignNet.forward`): behaviour from spikes, which is
    deployed; behaviour and spikes each from themselves; spikes from behaviour; and the contrast of the
    latents. With the direction "simulate", spikes from behaviour is deployed. Behaviour is z-scored over all
    days together, channels day by day.

    Args:
        paths: session files, in the order of their days; the artifact is folded for the last one.
        settings: of the model and its training; None for the defaults.
        run: seed, device and processes that train together (`ranks.connected`): each reads and holds some of
            the sessions, trains every member with the others, and returns the same result. None for the
            defaults.
        checkpoint: file to save to and to resume from; the caller deletes it when the model is written.
        progress: called with the stage and the fraction of the work that is done, instead of `run.progress`.

    Raises:
        RtdecodeError: a setting is out of its range, a session cannot be read or does not fit the others, or
            the checkpoint belongs to another training. All sessions are read before training starts.
    """
    started = time.perf_counter()
    settings, run = settings or PretrainSettings(), run or Run()
    ranks = run.ranks or ALONE
    settings.check()
    where = ranks.device(chosen_device(run.device))
    validation = validation_numbers(len(paths), settings.validation_days)
    bin_width_s = settings.bin_width_s
    sessions = read_shared(
        paths,
        bin_width_s,
        settings.outputs,
        run.seed,
        validation,
        ranks,
        lambda what, done: progress(what, 0.05 * done),
    )
    reads = chosen_features(sessions, settings.features if settings.reads_features else ())
    sessions = [
        reading(day, described_features([day], [None], reads)) if held(day) else day for day in sessions
    ]
    names = distinct_names(sessions)
    train = [day.labelled_bins & (i not in validation) for i, day in enumerate(sessions)]
    described = describe_shared(sessions, train, ranks)
    nets = new_members(
        settings.kind,
        sessions[0].session.n_channels + len(reads),
        described,
        bin_width_s,
        run.seed,
        settings.chosen_sizes,
        causal=settings.causality == CAUSAL,
        n_features=len(reads),
    )
    recordings = recordings_of(nets, names, sessions, train, described, ranks)
    training = max(
        # The rank with the longest session determines the window length.
        ranks.gather(settings.training_on(recordings, where)),
        key=lambda each: each.window_bins,
    )
    training = training.within(min(ranks.gather(min(each.longest_window for each in recordings))))
    if ranks.n > training.batch:
        raise RtdecodeError(
            f"{ranks.n} processes cannot share batches of {training.batch} windows",
            fix=f"start at most {training.batch} processes",
        )
    purpose = {
        "kind": settings.kind,
        "bin_width_s": bin_width_s,
        "outputs": [output.name for output in described],
        "sessions": [day.sha256 for day in sessions],
        "validation": sorted(validation),
        "network": nets[0].settings,
        "members": len(nets),
        "training": training.recorded(run.seed),
        "device": where.type,
        "processes": ranks.n,
        "versions": versions(),
    }
    files = checkpoint_files(checkpoint, len(nets)) if checkpoint is not None else []
    resumed = ranks.from_lead(lambda: sum(path.exists() for path in files))
    clock = _Clock()
    logs = train_members(
        nets,
        recordings,
        training,
        replace(
            run,
            device=str(where),
            progress=lambda done: progress(f"training{clock.left(done)}", 0.05 + 0.9 * done),
        ),
        checkpoints=_checkpoints(files, purpose, settings.save_every_s, ranks),
    )
    progress("exporting", 0.95)
    last = sessions[-1]
    count_max = nets[0].read_in.count_max
    kept = {0: (last.features, _channel_tensors(last, count_max))} if held(last) else {}
    ((features, memory),) = ranks.union(kept)
    artifact = with_statistics(export_members(nets, names[-1], bin_width_s, described, features), memory)
    scores = ranks.union(
        {i: _score(nets, names[i], sessions[i], described) for i in sorted(validation) if held(sessions[i])}
    )
    validation_r2 = mean_scores(scores) if scores else np.full(len(described), np.nan)
    notes = session_notes(sessions, run.seed) + _notes(settings, resumed, sessions[0].feature_names)
    notes += artifact.provenance["export"]["notes"]
    train_s = ranks.union(
        {i: float(bins.sum() * bin_width_s) for i, bins in enumerate(train) if held(sessions[i])}
    )
    provenance = {
        "created": created_now(),
        "sessions": [
            day.provenance() | {"train_s": seconds, "validation": i in validation}
            for i, (day, seconds) in enumerate(zip(sessions, train_s, strict=True))
        ],
        **shared_labels([each.session for each in sessions]),
        "seed": run.seed,
        "processes": ranks.n,
        "pretrain": training.recorded(run.seed)
        | {"best_steps": [log.best_step for log in logs], "validation_r2": nullable(validation_r2)},
        "notes": notes,
        "versions": versions(),
    }
    progress("done", 1.0)
    return PretrainResult(
        artifact=train_in_float16(
            replace(
                artifact, provenance=provenance, arrays=shared_arrays([each.session for each in sessions])
            )
        ),
        validation=[names[i] for i in sorted(validation)],
        validation_r2=validation_r2,
        logs=logs,
        seconds=time.perf_counter() - started,
        notes=notes,
    )


def recordings_of(
    nets: Sequence[Network],
    names: Sequence[str],
    sessions: Sequence[LabelledSession],
    train: Sequence[Mask],
    described: Sequence[Output],
    ranks: Ranks = ALONE,
) -> list[Recording]:
    """Add each session's read-in to the networks, by its spikes, and return the sessions' training data.

    Args:
        nets: which receive a read-in for each session.
        names: of the sessions, no two the same.
        sessions: of one bin width and with the same outputs.
        train: bool[T] of each: training bins. A session without any is validated on instead.
        described: mean and SD by which behaviour is z-scored.
        ranks: among which the sessions are divided. Networks receive all read-ins, and the recordings are of
            the sessions that this rank holds.

    Raises:
        RtdecodeError: no channel of a session fires.
    """
    read_in, n_features = nets[0].read_in, nets[0].read_in.n_features
    clipped = {
        i: clipped_counts(day.inputs, read_in.count_max, n_features)
        for i, day in enumerate(sessions)
        if held(day)
    }
    width_s = sessions[0].binned.bin_width_s
    starts = ranks.union(
        {
            i: read_in_start(counts, width_s, n_features, where=str(sessions[i].path))
            for i, counts in clipped.items()
        }
    )
    for net in nets:
        for name, start in zip(names, starts, strict=True):
            net.read_in.add(name, *start)
    return [
        Recording.of(
            names[i],
            counts,
            z_scored(sessions[i].targets, described),
            train[i],
            None if train[i].any() else sessions[i].labelled_bins,
            sessions[i].binned.starts,
        )
        for i, counts in clipped.items()
    ]


def validation_numbers(n_sessions: int, n_validation: int) -> set[int]:
    """Numbers of the validation sessions: evenly spaced, never the first or the last.

    Raises:
        RtdecodeError: fewer than two training sessions would remain.
    """
    if n_validation < 0 or (n_validation and n_sessions - n_validation < 2):
        raise RtdecodeError(
            f"{n_validation} validation days cannot be held out of {n_sessions} sessions",
            fix="leave at least two sessions to train on",
        )
    return {round((k + 1) * (n_sessions - 1) / (n_validation + 1)) for k in range(n_validation)}


def _checkpoints(
    files: Sequence[Path], purpose: dict[str, Any], save_every_s: float, ranks: Ranks
) -> list[FileCheckpoint | LeadCheckpoint] | None:
    own = [FileCheckpoint(path, purpose | {"member": i}, save_every_s) for i, path in enumerate(files)]
    return [LeadCheckpoint(each, ranks) if ranks.several else each for each in own] or None


def _notes(settings: PretrainSettings, resumed: int, recorded: Sequence[str]) -> list[str]:
    notes = []
    if recorded and not settings.reads_features:
        notes.append(f"the {len(recorded)} features are not read: only causal models that decode read them")
    if settings.direction == SIMULATE:
        notes.append("made to simulate spikes; decoding is only an auxiliary loss, so serve another model")
    if settings.causality == OFFLINE:
        notes.append("is non-causal: for simulate and study; serve another model")
    if resumed:
        notes.append(f"resumed from {resumed} checkpoint{'s' * (resumed > 1)}")
    return notes


def _score(nets: Sequence[Network], name: str, day: LabelledSession, outputs: tuple[Output, ...]) -> F8:
    """R² f8[D] over a whole day, decoded by the runtime from its first bin, or by torch if non-causal."""
    artifact = export_members(nets, name, day.binned.bin_width_s, outputs, day.features)
    counts, starts = day.binned.counts, day.binned.starts
    values = (
        decoded(artifact, day.inputs, starts)
        if artifact.causal
        else decoded_whole(nets, counts, name, starts)
    )
    return r2(values, day.targets)


def _channel_tensors(day: LabelledSession, count_max: int) -> Arrays:
    """Statistics of a session's channels, if it has any."""
    binned = day.binned
    if not binned.counts.size:
        return {}
    return channel_tensors(binned.counts, day.targets, binned.bin_width_s, count_max, binned.starts)


class _Clock:
    """Estimates the remaining time from the elapsed time."""

    def __init__(self) -> None:
        self._began: tuple[float, float] | None = None

    def left(self, done: float) -> str:
        now = time.monotonic()
        if self._began is None:
            # A resumed training does not start at 0.
            self._began = (now, done)
        began_s, began_at = self._began
        if done <= began_at or done >= 1.0:
            return ""
        seconds = (now - began_s) / (done - began_at) * (1.0 - done)
        return f", {seconds / 60:.0f} min left" if seconds > 90 else f", {seconds:.0f} s left"
