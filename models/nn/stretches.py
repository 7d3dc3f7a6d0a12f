"""A network over a recording with gaps: each stretch by itself, as decoders are reset after a gap."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rtdecode.kernels.arrays import I8, Mask
from rtdecode.session.bins import stretches


def by_stretch(
    apply: Callable[[Tensor], Tensor], signals: Tensor, starts: I8 | None, wanted: Mask | None = None
) -> Tensor:
    """A network's outputs over the stretches of a recording.

    Args:
        apply: of signals [N, C, T'] gives [N, D, T'].
        signals: [N, C, T].
        starts: i8[S], of the stretches, see `rtdecode.session.bins.stretches`.
        wanted: bool[T]; stretches without any of these bins are left out, NaN. None for all.

    Returns:
        [N, D, T].
    """
    parts = [rows for rows in stretches(starts, signals.shape[-1]) if wanted is None or wanted[rows].any()]
    done = [apply(signals[..., rows]) for rows in parts]
    if done[0].shape[-1] == signals.shape[-1]:
        return done[0]
    whole = done[0].new_full((*done[0].shape[:-1], signals.shape[-1]), torch.nan)
    for rows, part in zip(parts, done, strict=True):
        whole[..., rows] = part
    return whole
