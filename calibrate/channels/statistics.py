"""What a model keeps of the channels of its last session, so that the next day can be held against it.

tensors = remember(counts, targets, bin_width_s, count_max)     # go into train.*
memory = remembered(artifact)
memory.mean, memory.together, memory.tuning

Nothing of it is decoded with, and it is not part of `model_id`. Models without it, made by an earlier
version, still hold the mean and SD of their last session in its read-in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.errors import RtdecodeError
from rtdecode.models.ensemble.split import trained_members

F8 = NDArray[np.float64]

#: Bins in which channels are held against each other, whatever those of the model.
TOGETHER_S = 0.064

#: Rates are averaged over so much before tuning is looked for.
SMOOTHED_S = 0.32

#: Ridge, in SD² per bin: keeps tuning finite where outputs are copies of each other.
RIDGE = 1e-3

_PREFIX = "channels."


@dataclass(frozen=True, eq=False)
class Tuning:
    """How channels follow the outputs, by linear regression of their smoothed rates.

    Attributes:
        slope: f8[C, D], SD of the rate per SD of the output; 0 for a silent channel.
        r2: f8[C], part of the rate's variance that the outputs explain.
    """

    slope: F8
    r2: F8

    def depth_and_direction(self, pair: tuple[int, int]) -> tuple[F8, F8]:
        """Length and angle (radians, −π to π) of the slopes on two outputs, f8[C] each.

        Args:
            pair: columns of the outputs along x and y.
        """
        along_x, along_y = self.slope[:, pair[0]], self.slope[:, pair[1]]
        return np.hypot(along_x, along_y), np.arctan2(along_y, along_x)


@dataclass(frozen=True, eq=False)
class ChannelMemory:
    """The channels of a model's last session.

    Attributes:
        used: bool[C], channels that the model decodes.
        mean, sd: f8[C], clipped counts per bin; NaN where the model does not know.
        together: f8[C, C], correlations between channels in bins of `TOGETHER_S`; None if not kept.
        tuning: None if not kept.
    """

    used: NDArray[np.bool_]
    mean: F8
    sd: F8
    together: F8 | None
    tuning: Tuning | None


def remember(
    counts: NDArray[np.uint8], targets: NDArray[np.float32] | None, bin_width_s: float, count_max: int
) -> dict[str, NDArray[Any]]:
    """The tensors to keep, by their names in train.*.

    Args:
        counts: u1[T, C].
        targets: f4[T, D], NaN where unknown; None without labels, and then there is no tuning.
        bin_width_s: seconds.
        count_max: larger counts are clipped to it.
    """
    clipped = np.minimum(counts, np.uint8(count_max)).astype(np.float32)
    kept: dict[str, NDArray[Any]] = {
        "mean": clipped.mean(axis=0, dtype=np.float64).astype(np.float32),
        "sd": clipped.std(axis=0, dtype=np.float64).astype(np.float32),
        "together": correlations(counts, bin_width_s, count_max).astype(np.float16),
    }
    tuning = None if targets is None else tuning_of(counts, targets, bin_width_s, count_max)
    if tuning is not None:
        kept |= {"tuning": tuning.slope.astype(np.float32), "tuning_r2": tuning.r2.astype(np.float32)}
    return {_PREFIX + name: values for name, values in kept.items()}


def with_memory(artifact: ModelArtifact, tensors: dict[str, NDArray[Any]]) -> ModelArtifact:
    """The model with these tensors of `remember`; tuning it has already stays where none is new."""
    return replace(artifact, train=artifact.train | tensors)


def carried(base: ModelArtifact) -> dict[str, NDArray[Any]]:
    """The tuning that a base keeps, for a model of a day without labels."""
    names = (f"{_PREFIX}tuning", f"{_PREFIX}tuning_r2")
    return {name: base.train[name] for name in names if name in base.train}


def remembered(artifact: ModelArtifact) -> ChannelMemory:
    """What a model keeps of its channels; of one that keeps nothing, what its read-in tells.

    Raises:
        RtdecodeError: the tensors do not fit the model's channels or outputs.
    """
    used = np.array(artifact.channel_mask)
    n_channels, n_outputs = artifact.n_channels, len(artifact.outputs)

    def kept(name: str, *shape: int) -> F8 | None:
        tensor = artifact.train.get(_PREFIX + name)
        if tensor is None:
            return None
        if tensor.shape != shape:
            raise RtdecodeError(
                f"damaged: train.{_PREFIX}{name} of shape {list(tensor.shape)}, not {list(shape)}",
                fix="use the file that training wrote",
            )
        return tensor.astype(np.float64)

    mean, sd = kept("mean", n_channels), kept("sd", n_channels)
    if mean is None or sd is None:
        mean, sd = _by_read_in(artifact)
    slope, r2 = kept("tuning", n_channels, n_outputs), kept("tuning_r2", n_channels)
    return ChannelMemory(
        used=used,
        mean=mean,
        sd=sd,
        together=kept("together", n_channels, n_channels),
        tuning=None if slope is None or r2 is None else Tuning(slope, r2),
    )


def correlations(counts: NDArray[np.uint8], bin_width_s: float, count_max: int) -> F8:
    """Pearson's correlations f8[C, C] of clipped counts in bins of about `TOGETHER_S`; 0 of a constant."""
    clipped = np.minimum(counts, np.uint8(count_max))
    summed = in_bins(clipped, max(1, round(TOGETHER_S / bin_width_s)))
    z = _scaled(summed)
    return np.asarray(z.T @ z / max(len(z), 1), dtype=np.float64)


def tuning_of(
    counts: NDArray[np.uint8], targets: NDArray[np.float32], bin_width_s: float, count_max: int
) -> Tuning | None:
    """Tuning to the outputs; None where fewer rows are labelled than there is something to fit.

    Args:
        counts, targets, bin_width_s, count_max: as of `remember`.
    """
    length = max(1, round(SMOOTHED_S / bin_width_s))
    total = np.cumsum(np.minimum(counts, np.uint8(count_max)), axis=0, dtype=np.float32)
    rows = np.flatnonzero(np.isfinite(targets).all(axis=1))
    rows = rows[rows >= length]
    if len(rows) <= 2 * targets.shape[1]:
        return None
    z, y = _scaled(total[rows] - total[rows - length]), _scaled(targets[rows])
    gram = y.T @ y / len(y) + RIDGE * np.eye(y.shape[1])
    slope = np.linalg.solve(gram, y.T @ z / len(y)).T
    missed = ((z - y @ slope.T) ** 2).mean(axis=0)
    r2 = np.where((z != 0).any(axis=0), 1.0 - missed, 0.0)
    return Tuning(slope.astype(np.float64), r2.astype(np.float64))


def in_bins(counts: NDArray[np.uint8], n: int) -> NDArray[np.float32]:
    """Sums of n bins each, f4[T // n, C]."""
    whole = len(counts) // n * n
    return np.asarray(counts[:whole].reshape(-1, n, counts.shape[1]).sum(axis=1, dtype=np.float32))


def _scaled(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Z-scored columns; 0 for one that does not vary."""
    sd = values.std(axis=0, dtype=np.float64)
    scale = np.divide(1.0, sd, out=np.zeros_like(sd), where=sd > 0)
    return np.asarray((values - values.mean(axis=0, dtype=np.float64)) * scale, dtype=np.float32)


def _by_read_in(artifact: ModelArtifact) -> tuple[F8, F8]:
    """Mean and SD f8[C] of the session that run.* is folded for; NaN where its read-in does not tell."""
    unknown = np.full(artifact.n_channels, np.nan)
    train = trained_members(artifact)[0].train
    try:
        described = json.loads(train["settings"].tobytes())
        own = f"net.read_in.sessions.{described['sessions'].index(described['session'])}."
        scale, offset, sd = (train[own + name].astype(np.float64) for name in ("scale", "offset", "sd"))
    except (KeyError, ValueError, TypeError):
        return unknown, unknown.copy()
    known = (scale != 0) & np.array(artifact.channel_mask)
    # Training moves both a little from where they started, and their ratio hardly.
    mean = np.divide(-offset, scale, out=unknown.copy(), where=known)
    return np.where(known, np.maximum(mean, 0.0), np.nan), np.where(known, sd, np.nan)
