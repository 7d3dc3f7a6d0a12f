"""How well a network's two encoders agree on today: do the spikes of a moment meet the behaviour of it?

agreement = agreement_of(artifact, counts, targets, bin_width_s)
agreement.own, agreement.other, agreement.found

The paper's contrast between windows (docs/paper.md), as a number to look at. Needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.training.ensemble import one_thread
from rtdecode.models.ensemble.load import networks_of
from rtdecode.models.ensemble.split import trained_members
from rtdecode.models.networks.alignnet import AlignNet
from rtdecode.models.train_state import exported_session

#: Length of a window, the paper's.
WINDOW_S = 2.0

FEWEST_WINDOWS = 5


@dataclass(frozen=True)
class Agreement:
    """Of windows' time-mean latents.

    Attributes:
        own: mean cosine between the spikes' latent and that of the behaviour in the same window.
        other: the same with the behaviour of the other windows.
        found: part of the windows whose own behaviour is the nearest of all.
        chance: what `found` would be without any agreement.
        n_windows: that were compared.
    """

    own: float
    other: float
    found: float
    chance: float
    n_windows: int


def agreement_of(
    artifact: ModelArtifact,
    counts: NDArray[np.uint8],
    targets: NDArray[np.float32],
    bin_width_s: float,
) -> Agreement | None:
    """Agreement of the latents, the mean over members.

    Args:
        artifact: with its train.*; read in for the session that run.* is folded for.
        counts: u1[T, C], in one piece.
        targets: f4[T, D], in the outputs' units; windows with a NaN are left out.
        bin_width_s: seconds.

    Returns:
        None for a network without latents, or where there are too few windows.

    Raises:
        RtdecodeError: the model holds no whole network.
    """
    if artifact.kind != AlignNet.kind:
        return None
    session = exported_session(trained_members(artifact)[0])
    found = []
    with torch.inference_mode(), one_thread():
        for net in networks_of(artifact):
            assert isinstance(net, AlignNet)
            frame = 2 ** (len(net.widths) - 1)
            length = max(1, round(WINDOW_S / bin_width_s / frame)) * frame
            n = len(counts) // length
            whole = slice(0, n * length)
            known = np.isfinite(targets[whole]).all(axis=1).reshape(n, length).all(axis=1)
            if known.sum() < FEWEST_WINDOWS:
                return None
            z = (targets[whole] - net.output_mean.numpy()) / net.output_sd.numpy()
            spikes = torch.from_numpy(counts[whole].T.astype(np.float32))[None]
            behavior = torch.from_numpy(np.nan_to_num(z.T).astype(np.float32))[None]
            pair = (net.encode_spikes(spikes, session).latent, net.encode_behavior(behavior).latent)
            found.append(_compared(*(_windows(latent, n)[torch.from_numpy(known)] for latent in pair)))
    own, other, nearest = np.mean(found, axis=0)
    n_windows = int(known.sum())
    return Agreement(float(own), float(other), float(nearest), 1.0 / n_windows, n_windows)


def _windows(latent: torch.Tensor, n: int) -> torch.Tensor:
    """[1, features, T] → [n, features], time means of length 1."""
    return F.normalize(latent[0].reshape(latent.shape[1], n, -1).mean(dim=-1).T, dim=1)


def _compared(spikes: torch.Tensor, behavior: torch.Tensor) -> tuple[float, float, float]:
    cosine = spikes @ behavior.T
    n = len(cosine)
    own = cosine.diagonal()
    other = (cosine.sum() - own.sum()) / (n * (n - 1))
    nearest = (cosine.argmax(dim=1) == torch.arange(n)).float().mean()
    return float(own.mean()), float(other), float(nearest)
