"""A network trained for a few steps on a real session, with the firing rates of a trained one."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact, Output, count_max_at, infer_role
from rtdecode.models.export.export import export
from rtdecode.models.networks.alignnet import AlignNet, AlignNetSettings
from rtdecode.session.bins import behavior_at, bin_session
from rtdecode.session.layout import Session

WINDOW_BINS, MASKED_BINS, BATCH, TRAIN_BINS = 64, 16, 8, 4000


def briefly_trained(session: Session, bin_width_s: float, n_steps: int, seed: int = 0) -> ModelArtifact:
    """A causal AlignNet after `n_steps` of training on the first bins of a session."""
    binned = bin_session(session, bin_width_s)
    behavior = session.behavior
    assert behavior is not None
    labels = behavior_at(behavior, binned.t_bin)
    labelled = labels[np.isfinite(labels).all(axis=1)]
    mean, sd = labelled.mean(axis=0, dtype="f8"), labelled.std(axis=0, dtype="f8")
    count_max = count_max_at(bin_width_s)
    counts = np.minimum(binned.counts[:TRAIN_BINS], count_max).astype(np.float32)
    torch.manual_seed(seed)
    sizes = (session.n_channels, len(behavior.names), count_max)
    net = AlignNet(AlignNetSettings(*sizes, widths=(32, 32, 32), latent=16, dec_widths=(16, 16)))
    net.read_in.add("it", counts.mean(axis=0), counts.std(axis=0))
    net.set_output_scale(mean, sd)
    _train(net, counts, ((labels - mean) / sd)[:TRAIN_BINS].astype(np.float32), n_steps)
    outputs = [
        Output(name, units, m, s, infer_role(name, units))
        for name, units, m, s in zip(behavior.names, behavior.units, mean, sd, strict=True)
    ]
    return export(net, session="it", bin_width_s=bin_width_s, outputs=outputs)


def _train(net: AlignNet, counts: NDArray[np.float32], labels: NDArray[np.float32], n_steps: int) -> None:
    rng = np.random.default_rng(0)
    usable = np.flatnonzero(np.isfinite(labels).all(axis=1))
    usable = usable[usable < len(counts) - WINDOW_BINS]
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)
    net.train()
    for _ in range(n_steps):
        starts = rng.choice(usable, BATCH)
        x = torch.from_numpy(np.stack([counts[k : k + WINDOW_BINS].T for k in starts]))
        z = torch.from_numpy(np.nan_to_num(np.stack([labels[k : k + WINDOW_BINS].T for k in starts])))
        loss = (net.decode(x) - z)[:, :, MASKED_BINS:].square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
