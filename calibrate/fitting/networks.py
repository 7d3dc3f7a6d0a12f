"""Networks of one kind, trained on all sessions and exported for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.channels.statistics import channel_tensors, with_statistics
from rtdecode.calibrate.data.splits import is_labelled
from rtdecode.calibrate.fitting.training_set import FitSettings, TrainingSet
from rtdecode.calibrate.run import Run
from rtdecode.calibrate.training.build import (
    add_session,
    export_members,
    new_members,
    training_settings,
    z_scored,
)
from rtdecode.calibrate.training.devices import chosen_device
from rtdecode.calibrate.training.ensemble import train_members
from rtdecode.calibrate.training.trainer import TrainingLog
from rtdecode.calibrate.training.windows import Recording, validation_blocks
from rtdecode.kernels.arrays import I8

#: Fraction of the labelled time that validates the training.
VALIDATION_FRACTION = 0.05


def fit_network(
    kind: str, data: TrainingSet, settings: FitSettings, run: Run
) -> tuple[list[ModelArtifact], list[TrainingLog]]:
    """Train the networks of a model on all sessions.

    Args:
        kind: "alignnet" or "gru".
        data: sessions with a name each; z-scored by the mean and SD of the outputs.
        settings: sizes and training are used.
        run: seed of the initial weights and of training, device and progress.

    Returns:
        An artifact for each session, folded with the session's read-in, and how the training of each member
        went.

    Raises:
        RtdecodeError: there is no such device, no channel fires, or a session is too short.
    """
    chosen_device(run.device)
    width_s, outputs = data.bin_width_s, data.outputs
    n_features, n_inputs = data.n_features, data.counts[0].shape[1]
    nets = new_members(kind, n_inputs, outputs, width_s, run.seed, settings.sizes, n_features=n_features)
    features = data.features or [()] * len(data.counts)
    starts: Sequence[I8 | None] = data.starts or [None] * len(data.counts)
    days = list(zip(data.names, data.counts, data.targets, features, starts, strict=True))
    recordings = []
    for name, counts, targets, _, own_starts in days:
        clipped, z = add_session(nets, name, counts, width_s, where=name), z_scored(targets, outputs)
        bins = validation_blocks(is_labelled(z), VALIDATION_FRACTION, width_s)
        recordings.append(Recording.of(name, clipped, z, *bins, own_starts))
    training = training_settings(recordings, width_s, settings.training)
    logs = train_members(nets, recordings, training, run)
    artifacts = []
    for name, counts, targets, own, own_starts in days:
        artifact = export_members(nets, name, width_s, outputs, own)
        if n_inputs > n_features:
            channels = counts[:, : n_inputs - n_features].astype(np.uint8)
            kept = channel_tensors(channels, targets, width_s, nets[0].read_in.count_max, own_starts)
            artifact = with_statistics(artifact, kept)
        artifacts.append(artifact)
    return artifacts, logs
