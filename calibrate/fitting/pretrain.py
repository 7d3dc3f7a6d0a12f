"""One network from many days, to decode a day that it has not seen.

result = pretrain_sessions(["day1.h5", "day2.h5", …], bin_width_s=0.064, outputs=("x", "y", "vx", "vy"))
write_artifact("base.safetensors", result.artifact)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact, Output
from rtdecode.calibrate.channels.statistics import channel_tensors, with_statistics
from rtdecode.calibrate.data.metrics import nullable, r2
from rtdecode.calibrate.data.sessions import (
    LabelledSession,
    distinct_names,
    synthetic_notes,
)
from rtdecode.calibrate.fitting.fitters import NETWORKS
from rtdecode.calibrate.training.augment import Augmentation
from rtdecode.calibrate.training.build import (
    chosen_device,
    clipped_counts,
    decoded_whole,
    export_members,
    multiplies_bfloat16,
    new_members,
    read_in_start,
    settings_for,
)
from rtdecode.calibrate.training.checkpoint import FileCheckpoint, LeadCheckpoint, checkpoint_files, versions
from rtdecode.calibrate.training.distributed.ranks import ALONE, Ranks
from rtdecode.calibrate.training.distributed.sharding import describe_shared, held, read_shared
from rtdecode.calibrate.training.ensemble import train_members
from rtdecode.calibrate.training.settings import DECODE, SIMULATE, TrainingSettings
from rtdecode.calibrate.training.sizes import MANY_DAYS, MANY_DAYS_SIMULATED
from rtdecode.calibrate.training.trainer import TrainingLog
from rtdecode.calibrate.training.windows import Recording
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.models.export.float16 import halved
from rtdecode.models.nn.network import Network

#: Weight of the paths beside the deployed one: both reconstructions, the simulation and the contrast.
AUXILIARY = 0.1

#: One batch in so many goes through them; more cost time, and brought new days nothing.
AUXILIARY_EVERY = 4

#: What a network may look at, by the names that the study has for it.
CAUSAL, OFFLINE = "causal", "offline"

STEPS = 800

SETTLED_BATCHES = 60

READ_IN_RATE = 0.1

SAVE_EVERY_S = 30.0

Progress = Callable[[str, float], None]
"""Called with what is being done and how much of the whole is done, 0 to 1."""


@dataclass(frozen=True, eq=False)
class PretrainResult:
    """A pretrained model.

    Attributes:
        artifact: ready to be written; folded for the last session, with the read-ins of all in train.*.
        validation: names of the days that were kept back.
        validation_r2: f8[D], their mean R², read in from their spikes alone; NaN without any.
        logs: of the training of each member.
        seconds: that it took.
        notes: what someone who uses it must know, a sentence each.
    """

    artifact: ModelArtifact
    validation: list[str]
    validation_r2: NDArray[np.float64]
    logs: list[TrainingLog]
    seconds: float
    notes: list[str]


def pretrain_sessions(
    paths: Sequence[Path | str],
    kind: str = "alignnet",
    bin_width_s: float = 0.02,
    outputs: tuple[str, ...] | None = None,
    *,
    direction: str = DECODE,
    form: str = CAUSAL,
    validation_days: int = 0,
    steps: int = STEPS,
    members: int | None = None,
    seed: int = 0,
    device: str = "auto",
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    ranks: Ranks = ALONE,
) -> PretrainResult:
    """Train one network on many sessions, each behind a read-in of its own.

    Training follows all ways through AlignNet at once (`AlignNet.forward`): behaviour from spikes, which is
    what is deployed, behaviour and spikes through their own halves, spikes from behaviour, and the contrast
    of the latents; or spikes from behaviour is what is deployed, and the other way beside it. Behaviour is
    z-scored over all days together, channels day by day.

    Args:
        paths: session files, in the order of their days; the artifact is folded for the last one.
        kind: "alignnet" or "gru".
        bin_width_s: of the model, 0.001 to 0.25 s.
        outputs: names of behaviour columns; None for all of the first session's.
        direction: what the model is for, "decode" or "simulate" (alignnet only, without validation days).
        form: "causal", or "offline" for a network that looks ahead, which no daemon can step (alignnet only).
        validation_days: days that are kept back, spread evenly; they are decoded from their spikes alone,
            and earlier weights are kept only if they did better there by `TrainingSettings.tolerance`.
        steps: batches.
        members: networks that the model is the mean of; None for as many as models of the kind have.
        seed: of everything random.
        device: to train on.
        checkpoint: file to save to on the way, and to go on from; the caller deletes it when the
            model is written.
        progress: told how far the work is.
        ranks: processes that do this together (`distributed.joined`). Each reads and holds some of the
            sessions, trains every member with the others, and comes to the same result.

    Raises:
        RtdecodeError: an argument is out of its range, a session cannot be read or does not fit the others,
            or the checkpoint is another training's. Sessions are all read before training starts.
    """
    started = time.perf_counter()
    report: Progress = progress if progress is not None else _ignore
    if kind not in NETWORKS:
        raise RtdecodeError(
            f"a {kind} model has nothing to pretrain", fix=f"use --kind {' or '.join(NETWORKS)}"
        )
    if direction not in (DECODE, SIMULATE):
        raise RtdecodeError(f"no direction {direction}", fix=f"use {DECODE} or {SIMULATE}")
    if direction == SIMULATE and kind != "alignnet":
        raise RtdecodeError(f"a {kind} model cannot simulate spikes", fix="use --kind alignnet")
    if direction == SIMULATE and validation_days:
        raise RtdecodeError(
            "validation days are decoded, which a model that is to simulate is not for",
            fix="leave --validation-days out; `rtdecode simulate` scores a day",
        )
    if form not in (CAUSAL, OFFLINE):
        raise RtdecodeError(f"no form {form}", fix=f"use {CAUSAL} or {OFFLINE}")
    if form == OFFLINE and kind != "alignnet":
        raise RtdecodeError(f"a {kind} model is causal", fix="use --kind alignnet")
    if steps < 1:
        raise RtdecodeError(f"a training of {steps} steps", fix="give 1 or more")
    where = ranks.device(chosen_device(device))
    kept_back = spread_days(len(paths), validation_days)
    sessions = read_shared(
        paths, bin_width_s, outputs, seed, kept_back, ranks, lambda what, done: report(what, 0.05 * done)
    )
    names = distinct_names(sessions)
    learnt = [day.labelled_bins & (i not in kept_back) for i, day in enumerate(sessions)]
    described = describe_shared(sessions, learnt, ranks)

    sizes = MANY_DAYS_SIMULATED if direction == SIMULATE else MANY_DAYS
    n_channels, causal = sessions[0].session.n_channels, form == CAUSAL
    nets = new_members(kind, n_channels, described, bin_width_s, seed, sizes, members, causal=causal)
    recordings = recordings_of(nets, names, sessions, learnt, described, ranks)
    settings = max(
        # The rank with the longest session says how long a window is.
        ranks.gather(pretraining_settings(kind, recordings, bin_width_s, steps, seed, where, direction)),
        key=lambda each: each.window_bins,
    )
    if ranks.n > settings.batch:
        raise RtdecodeError(
            f"{ranks.n} processes for batches of {settings.batch} windows", fix="start no more than that"
        )
    purpose = {
        "kind": kind,
        "bin_width_s": bin_width_s,
        "outputs": [output.name for output in described],
        "sessions": [day.sha256 for day in sessions],
        "validation": sorted(kept_back),
        "network": nets[0].settings,
        "members": len(nets),
        "training": asdict(settings),
        "device": where.type,
        "processes": ranks.n,
        "versions": versions(),
    }
    notes = synthetic_notes(sessions, seed)
    if direction == SIMULATE:
        notes.append("made to simulate spikes; decoding was learnt beside it only, so serve another model")
    if form == OFFLINE:
        notes.append("looks ahead in time: for simulate and evaluate; serve another model")
    files = checkpoint_files(checkpoint, len(nets)) if checkpoint is not None else []
    saved = [
        LeadCheckpoint(own, ranks) if ranks.several else own
        for own in (
            FileCheckpoint(path, purpose | {"member": i}, SAVE_EVERY_S) for i, path in enumerate(files)
        )
    ]
    resumed = ranks.from_lead(lambda: sum(path.exists() for path in files))
    if resumed:
        notes.append(f"went on from {resumed} checkpoint{'s' * (resumed > 1)}")
    clock = _Clock()
    logs = train_members(
        nets,
        recordings,
        settings,
        where,
        lambda done: report(f"training{clock.left(done)}", 0.05 + 0.9 * done),
        saved or None,
        ranks=ranks,
    )
    report("exporting", 0.95)
    last = sessions[-1]
    (memory,) = ranks.union(
        {0: channel_tensors(last.binned.counts, last.targets, bin_width_s, nets[0].read_in.count_max)}
        if held(last)
        else {}
    )
    artifact = with_statistics(export_members(nets, names[-1], bin_width_s, described), memory)
    scores = ranks.union(
        {i: _score(nets, names[i], sessions[i], described) for i in sorted(kept_back) if held(sessions[i])}
    )
    validation_r2 = np.mean(scores, axis=0) if scores else np.full(len(described), np.nan)
    notes += artifact.provenance["export"]["notes"]
    train_s = ranks.union(
        {i: float(bins.sum() * bin_width_s) for i, bins in enumerate(learnt) if held(sessions[i])}
    )
    provenance = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "sessions": [
            day.provenance() | {"train_s": seconds, "validation": i in kept_back}
            for i, (day, seconds) in enumerate(zip(sessions, train_s, strict=True))
        ],
        "seed": seed,
        "processes": ranks.n,
        "pretrain": asdict(settings)
        | {"best_steps": [log.best_step for log in logs], "validation_r2": nullable(validation_r2)},
        "notes": notes,
        "versions": versions(),
    }
    report("done", 1.0)
    return PretrainResult(
        artifact=halved(replace(artifact, provenance=provenance)),
        validation=[names[i] for i in sorted(kept_back)],
        validation_r2=validation_r2,
        logs=logs,
        seconds=time.perf_counter() - started,
        notes=notes,
    )


def recordings_of(
    nets: Sequence[Network],
    names: Sequence[str],
    sessions: Sequence[LabelledSession],
    learnt: Sequence[NDArray[np.bool_]],
    described: Sequence[Output],
    ranks: Ranks = ALONE,
) -> list[Recording]:
    """Sessions as training sees them, once the networks have taken up each of them by its spikes.

    Args:
        nets: which get a read-in for each session.
        names: of the sessions, no two the same.
        sessions: of one bin width and with the same outputs.
        learnt: bool[T] of each: bins to learn from. A session without any is validated on instead.
        described: by whose mean and SD behaviour is z-scored.
        ranks: that hold the sessions between them. Networks take up all of them, and the recordings are of
            those that this rank holds.

    Raises:
        RtdecodeError: no channel of a session fires.
    """
    mean, sd = (np.array([getattr(output, part) for output in described]) for part in ("mean", "sd"))
    clipped = {
        i: clipped_counts(day.binned.counts, nets[0].read_in.count_max)
        for i, day in enumerate(sessions)
        if held(day)
    }
    starts = ranks.union(
        {
            i: read_in_start(counts, sessions[i].binned.bin_width_s, where=str(sessions[i].path))
            for i, counts in clipped.items()
        }
    )
    for net in nets:
        for name, start in zip(names, starts, strict=True):
            net.read_in.add(name, *start)
    recordings = []
    for i, counts in clipped.items():
        day, bins = sessions[i], learnt[i]
        z = np.where(day.labelled_bins[:, np.newaxis], (day.targets - mean) / sd, 0.0).astype(np.float32)
        recordings.append(
            Recording(
                session=names[i],
                counts=torch.from_numpy(counts.T.copy()),
                targets=torch.from_numpy(z.T.copy()),
                learnt=torch.from_numpy(bins.astype(np.float32)),
                validated=day.labelled_bins if not bins.any() else np.zeros_like(day.labelled_bins),
            )
        )
    return recordings


def pretraining_settings(
    kind: str,
    recordings: Sequence[Recording],
    bin_width_s: float,
    steps: int,
    seed: int,
    device: torch.device,
    direction: str = DECODE,
) -> TrainingSettings:
    """How `pretrain` trains a kind of network on these recordings."""
    return replace(
        settings_for(recordings, bin_width_s, seed),
        steps=steps,
        direction=direction,
        patience=steps,
        validate_every=max(1, steps // 10),
        auxiliary=AUXILIARY if kind == "alignnet" else 0.0,
        auxiliary_every=AUXILIARY_EVERY,
        settled_batches=SETTLED_BATCHES,
        read_in_rate=READ_IN_RATE,
        augmentation=Augmentation(bin_width_s=bin_width_s),
        mixed=multiplies_bfloat16(kind, device),
    )


def spread_days(n_sessions: int, n_kept: int) -> set[int]:
    """Which of the sessions are kept back: `n_kept`, spread evenly, never the first or the last.

    Raises:
        RtdecodeError: not two sessions would be left to learn from.
    """
    if n_kept < 0 or (n_kept and n_sessions - n_kept < 2):
        raise RtdecodeError(
            f"{n_kept} validation days of {n_sessions} sessions", fix="leave at least two to learn from"
        )
    return {round((k + 1) * (n_sessions - 1) / (n_kept + 1)) for k in range(n_kept)}


def _score(
    nets: Sequence[Network], name: str, day: LabelledSession, outputs: tuple[Output, ...]
) -> NDArray[np.float64]:
    """R² f8[D] over a whole day, decoded by the runtime from its first bin, or by torch if it looks ahead."""
    artifact = export_members(nets, name, day.binned.bin_width_s, outputs)
    if not artifact.causal:
        return r2(decoded_whole(nets, day.binned.counts, name), day.targets)
    values = np.empty(day.targets.shape, dtype=np.float32)
    load_decoder(artifact).run(day.binned.counts, values)
    return r2(values, day.targets)


class _Clock:
    """Time left, by how long it took so far."""

    def __init__(self) -> None:
        self._began: tuple[float, float] | None = None

    def left(self, done: float) -> str:
        now = time.monotonic()
        if self._began is None:
            # A training that is resumed does not begin at 0.
            self._began = (now, done)
        began_s, began_at = self._began
        if done <= began_at or done >= 1.0:
            return ""
        seconds = (now - began_s) / (done - began_at) * (1.0 - done)
        return f", {seconds / 60:.0f} min left" if seconds > 90 else f", {seconds:.0f} s left"


def _ignore(_what: str, _done: float) -> None:
    pass
