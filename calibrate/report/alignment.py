"""Alignment of a network's two encoders: is the latent of a window's spikes nearest to that of its behaviour?

alignment = latent_alignment(artifact, counts, targets, bin_width_s)
alignment.same_window, alignment.other_windows, alignment.retrieval

The paper's contrast between windows (docs/paper.md) as a number. Needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.data.splits import is_complete
from rtdecode.calibrate.training.ensemble import one_thread
from rtdecode.kernels.arrays import F4, Inputs
from rtdecode.models.ensemble.load import networks_of
from rtdecode.models.networks.alignnet import AlignNet
from rtdecode.models.simulation.rates import folded_session

#: Length of a window, the paper's.
WINDOW_S = 2.0

MIN_WINDOWS = 5


@dataclass(frozen=True)
class Alignment:
    """Similarity of the windows' time-mean latents.

    Attributes:
        same_window: mean cosine between the latents of spikes and behaviour of the same window.
        other_windows: the same with the behaviour of the other windows.
        retrieval: fraction of the windows whose own behaviour is the most similar of all.
        chance: `retrieval` of unrelated latents.
        n_windows: number of windows compared.
    """

    same_window: float
    other_windows: float
    retrieval: float
    chance: float
    n_windows: int


def latent_alignment(
    artifact: ModelArtifact, counts: Inputs, targets: F4, bin_width_s: float
) -> Alignment | None:
    """Alignment of the latents, the mean over the networks of an ensemble.

    Args:
        artifact: with its train.*; normalised for the session that run.* is folded for.
        counts: u1[T, C], contiguous in time; with features i2[T, C + F].
        targets: f4[T, D], in the outputs' units; windows with a NaN are left out, since all are encoded.
        bin_width_s: seconds.

    Returns:
        None for a network without latents, or where there are too few windows.

    Raises:
        RtdecodeError: the model holds no complete network.
    """
    if artifact.kind != AlignNet.kind:
        return None
    session = folded_session(artifact)
    found = []
    with torch.inference_mode(), one_thread():
        for net in networks_of(artifact):
            assert isinstance(net, AlignNet)
            frame = 2 ** (len(net.widths) - 1)
            length = max(1, round(WINDOW_S / bin_width_s / frame)) * frame
            n = len(counts) // length
            whole = slice(0, n * length)
            labelled = is_complete(targets[whole]).reshape(n, length).all(axis=1)
            if labelled.sum() < MIN_WINDOWS:
                return None
            z = (targets[whole] - net.output_mean.numpy()) / net.output_sd.numpy()
            spikes = torch.from_numpy(counts[whole].T.astype(np.float32))[None]
            behavior = torch.from_numpy(np.nan_to_num(z.T).astype(np.float32))[None]
            pair = (net.encode_spikes(spikes, session).latent, net.encode_behavior(behavior).latent)
            found.append(_compared(*(_windows(latent, n)[torch.from_numpy(labelled)] for latent in pair)))
    same, other, retrieval = np.mean(found, axis=0)
    n_windows = int(labelled.sum())
    return Alignment(float(same), float(other), float(retrieval), 1.0 / n_windows, n_windows)


def _windows(latent: torch.Tensor, n: int) -> torch.Tensor:
    """[1, features, T] → [n, features], time means of length 1."""
    return F.normalize(latent[0].reshape(latent.shape[1], n, -1).mean(dim=-1).T, dim=1)


def _compared(spikes: torch.Tensor, behavior: torch.Tensor) -> tuple[float, float, float]:
    cosine = spikes @ behavior.T
    n = len(cosine)
    same = cosine.diagonal()
    other = (cosine.sum() - same.sum()) / (n * (n - 1))
    retrieved = (cosine.argmax(dim=1) == torch.arange(n)).float().mean()
    return float(same.mean()), float(other), float(retrieved)
