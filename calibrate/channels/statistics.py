"""Statistics of the channels of a model's last session, which the next session is compared with.

tensors = channel_tensors(counts, targets, bin_width_s, count_max)     # go into train.*
statistics = channel_statistics(artifact)
statistics.mean, statistics.correlation, statistics.tuning

Decoding does not use them, and they are not part of `model_id`. Models without them, made by an earlier
version, still have the mean and SD of their last session in its read-in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np

from rtdecode.artifact import Arrays, ModelArtifact
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F4, F8, I8, U1, Mask
from rtdecode.models.ensemble.split import trained_members
from rtdecode.session.bins import stretches

#: Bins for correlations between channels, whatever the model's bins.
CORRELATION_BIN_S = 0.064

#: Rates are averaged over this time before tuning is fitted.
SMOOTHED_S = 0.32

#: Ridge penalty, in SD² per bin: keeps tuning finite where outputs are copies of each other.
RIDGE = 1e-3

_PREFIX = "channels."


@dataclass(frozen=True, eq=False)
class Tuning:
    """Tuning of channels to the outputs, by linear regression of their smoothed rates.

    Attributes:
        slope: f8[C, D], SD of the rate per SD of the output; 0 for a silent channel.
        r2: f8[C], fraction of the rate's variance that the outputs explain.
    """

    slope: F8
    r2: F8

    def depth_and_direction(self, pair: tuple[int, int]) -> tuple[F8, F8]:
        """Length and angle (radians, −π to π) of the slopes on the outputs along x and y, f8[C] each."""
        along_x, along_y = self.slope[:, pair[0]], self.slope[:, pair[1]]
        return np.hypot(along_x, along_y), np.arctan2(along_y, along_x)


@dataclass(frozen=True, eq=False)
class ChannelStatistics:
    """Statistics of one session's channels.

    Attributes:
        used: bool[C], channels that the model decodes.
        mean, sd: f8[C], clipped counts per bin; NaN where unknown.
        correlation: f8[C, C], pairwise correlations in bins of `CORRELATION_BIN_S`; None if not kept.
        tuning: None if not kept.
    """

    used: Mask
    mean: F8
    sd: F8
    correlation: F8 | None
    tuning: Tuning | None


def channel_tensors(
    counts: U1, targets: F4 | None, bin_width_s: float, count_max: int, starts: I8 | None = None
) -> Arrays:
    """The tensors to keep, by their names in train.*.

    Args:
        counts: u1[T, C].
        targets: f4[T, D], NaN where unknown; None without labels, and then there is no tuning.
        bin_width_s: seconds.
        count_max: larger counts are clipped to it.
        starts: i8[S], of the stretches between gaps; None without any.
    """
    clipped = np.minimum(counts, np.uint8(count_max)).astype(np.float32)
    kept: Arrays = {
        "mean": clipped.mean(axis=0, dtype=np.float64).astype(np.float32),
        "sd": clipped.std(axis=0, dtype=np.float64).astype(np.float32),
        "together": pairwise_correlations(counts, bin_width_s, count_max, starts).astype(np.float16),
    }
    tuning = None if targets is None else tuning_of(counts, targets, bin_width_s, count_max, starts)
    if tuning is not None:
        kept |= {"tuning": tuning.slope.astype(np.float32), "tuning_r2": tuning.r2.astype(np.float32)}
    return {_PREFIX + name: values for name, values in kept.items()}


def with_statistics(artifact: ModelArtifact, tensors: Arrays) -> ModelArtifact:
    """The model with these tensors of `channel_tensors`; it keeps its tuning where there is no new one."""
    return replace(artifact, train=artifact.train | tensors)


def kept_tuning(base: ModelArtifact) -> Arrays:
    """The base's tensors of tuning, for a model of a session without labels."""
    names = (f"{_PREFIX}tuning", f"{_PREFIX}tuning_r2")
    return {name: base.train[name] for name in names if name in base.train}


def channel_statistics(artifact: ModelArtifact) -> ChannelStatistics:
    """The statistics in a model; from its read-in where it has none.

    Raises:
        RtdecodeError: the tensors do not fit the model's channels or outputs.
    """
    used = np.array(artifact.channel_mask, np.bool_)
    n_channels, n_outputs = artifact.n_channels, len(artifact.outputs)

    def kept(name: str, *shape: int) -> F8 | None:
        tensor = artifact.train.get(_PREFIX + name)
        if tensor is None:
            return None
        if tensor.shape != shape:
            raise RtdecodeError(
                f"train.{_PREFIX}{name} is damaged: its shape is {list(tensor.shape)}, not {list(shape)}",
                fix="use the file that training wrote",
            )
        return tensor.astype(np.float64)

    mean, sd = kept("mean", n_channels), kept("sd", n_channels)
    if mean is None or sd is None:
        mean, sd = _by_read_in(artifact)
    slope, r2 = kept("tuning", n_channels, n_outputs), kept("tuning_r2", n_channels)
    return ChannelStatistics(
        used=used,
        mean=mean,
        sd=sd,
        correlation=kept("together", n_channels, n_channels),
        tuning=None if slope is None or r2 is None else Tuning(slope, r2),
    )


def pairwise_correlations(counts: U1, bin_width_s: float, count_max: int, starts: I8 | None = None) -> F8:
    """Pearson's correlations f8[C, C] of clipped counts in bins of `CORRELATION_BIN_S`; 0 for a constant."""
    clipped = np.minimum(counts, np.uint8(count_max))
    summed = in_bins(clipped, max(1, round(CORRELATION_BIN_S / bin_width_s)), starts)
    z = _scaled(summed)
    return np.asarray(z.T @ z / max(len(z), 1), dtype=np.float64)


def tuning_of(
    counts: U1, targets: F4, bin_width_s: float, count_max: int, starts: I8 | None = None
) -> Tuning | None:
    """Tuning to the outputs; None where there are too few labelled rows to fit it.

    Args:
        counts, targets, bin_width_s, count_max, starts: as of `channel_tensors`.
    """
    length = max(1, round(SMOOTHED_S / bin_width_s))
    total = np.cumsum(np.minimum(counts, np.uint8(count_max)), axis=0, dtype=np.float32)
    since = np.concatenate([np.arange(each.stop - each.start) for each in stretches(starts, len(counts))])
    rows = np.flatnonzero(np.isfinite(targets).all(axis=1) & (since >= length))
    if len(rows) <= 2 * targets.shape[1]:
        return None
    z, y = _scaled(total[rows] - total[rows - length]), _scaled(targets[rows])
    gram = y.T @ y / len(y) + RIDGE * np.eye(y.shape[1])
    slope = np.linalg.solve(gram, y.T @ z / len(y)).T
    residual = ((z - y @ slope.T) ** 2).mean(axis=0)
    r2 = np.where((z != 0).any(axis=0), 1.0 - residual, 0.0)
    return Tuning(slope.astype(np.float64), r2.astype(np.float64))


def in_bins(counts: U1, n: int, starts: I8 | None = None) -> F4:
    """Sums of n bins each, f4[T // n, C]; of the stretches that begin at `starts`, each by itself."""
    parts = stretches(starts, len(counts))
    kept = np.concatenate([np.arange(each.start, each.stop - (each.stop - each.start) % n) for each in parts])
    whole = counts if len(kept) == len(counts) else counts[kept]
    return np.asarray(whole.reshape(len(whole) // n, n, counts.shape[1]).sum(axis=1, dtype=np.float32))


def _scaled(values: F4) -> F4:
    """Z-scored columns; 0 for one that does not vary."""
    sd = values.std(axis=0, dtype=np.float64)
    scale = np.divide(1.0, sd, out=np.zeros_like(sd), where=sd > 0)
    return np.asarray((values - values.mean(axis=0, dtype=np.float64)) * scale, dtype=np.float32)


def _by_read_in(artifact: ModelArtifact) -> tuple[F8, F8]:
    """Mean and SD f8[C] of the session that run.* is folded for; NaN where its read-in has none."""
    unknown = np.full(artifact.n_channels, np.nan)
    train = trained_members(artifact)[0].train
    try:
        described = json.loads(train["settings"].tobytes())
        own = f"net.read_in.sessions.{described['sessions'].index(described['session'])}."
        # Features, which follow the channels, are left out.
        scale, offset, sd = (
            train[own + name].astype(np.float64)[: artifact.n_channels] for name in ("scale", "offset", "sd")
        )
    except (KeyError, ValueError, TypeError):
        return unknown, unknown.copy()
    usable = (scale != 0) & np.array(artifact.channel_mask, np.bool_)
    # Training changes both a little, and their ratio hardly.
    mean = np.divide(-offset, scale, out=unknown.copy(), where=usable)
    return np.where(usable, np.maximum(mean, 0.0), np.nan), np.where(usable, sd, np.nan)
