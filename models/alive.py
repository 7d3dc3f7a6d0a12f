"""Which channels are alive: the one rule that every model and every check of an array uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import CODES_PER_SD, LARGEST_CODE
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F4, F8, Mask

#: A channel with a lower rate is dead: no model reads it.
DEAD_BELOW_HZ = 0.05

#: Relative; rounding of T · bin width is far below it, and one spike more or less far above.
_ROUNDING = 1e-9


def alive_channels(counts: NDArray[Any] | Sequence[NDArray[Any]], bin_width_s: float) -> Mask:
    """The channels that fire at 0.05 Hz or more and whose count is not the same in every bin.

    Spikes are counted, and compared with 0.05 Hz times the duration: exactly at the threshold a channel is
    alive, whatever the rounding of the bin width. (Mean counts would not do: compared with 0.05 Hz · bin
    width in float64, such a channel is dead at 50 ms and alive at 20 ms.) A saturated channel, clipped to
    the same count in every bin, is dead. (Its SD would not do: in float32, rounded sums above 2²⁴ make it
    more than 0.)

    Args:
        counts: whole numbers [T, C], clipped as the decoder does; or several such recordings.
        bin_width_s: seconds.

    Returns:
        bool[C]; all False without a bin.
    """
    blocks = [counts] if isinstance(counts, np.ndarray) else list(counts)
    filled = [block for block in blocks if len(block)]
    if not filled:
        return np.zeros(blocks[0].shape[1], np.bool_)
    duration_s = sum(map(len, filled)) * bin_width_s
    n_spikes = np.sum([block.sum(axis=0, dtype=np.float64) for block in filled], axis=0)
    lowest = np.min([block.min(axis=0) for block in filled], axis=0)
    highest = np.max([block.max(axis=0) for block in filled], axis=0)
    fires = n_spikes >= DEAD_BELOW_HZ * duration_s * (1.0 - _ROUNDING)
    return np.asarray(fires & (highest > lowest))


def alive_inputs(inputs: NDArray[Any] | Sequence[NDArray[Any]], bin_width_s: float, n_features: int) -> Mask:
    """`alive_channels` of the counts, and which of the last `n_features` columns, codes of features, vary."""
    if not n_features:
        return alive_channels(inputs, bin_width_s)
    blocks = [inputs] if isinstance(inputs, np.ndarray) else list(inputs)
    codes = np.concatenate([block[:, -n_features:] for block in blocks])
    varies = np.ptp(codes, axis=0) > 0 if len(codes) else np.zeros(n_features, np.bool_)
    return np.concatenate((alive_channels([b[:, :-n_features] for b in blocks], bin_width_s), varies))


def clipped_inputs(inputs: NDArray[Any], count_max: int, n_features: int) -> NDArray[Any]:
    """Inputs [T, C + F] with larger counts than `count_max` clipped to it, as the decoder does; a copy."""
    most: NDArray[Any] = np.asarray(count_max, np.uint8)
    if n_features:
        most = np.full(inputs.shape[1], count_max, np.int16)
        most[-n_features:] = LARGEST_CODE
    return np.asarray(np.minimum(inputs, most))


def input_units(n_inputs: int, n_features: int) -> F8:
    """In what a read-in counts its inputs, f8[I]: spikes, and for the last `n_features`, codes, SDs.

    Optimizers change a scale by the same step whatever it starts from: 1/16 per code would change 16 times as
    fast as 1 per SD.
    """
    return np.repeat([1.0, 1.0 / CODES_PER_SD], [n_inputs - n_features, n_features])


def channel_scale(clipped: F4, bin_width_s: float, n_features: int = 0) -> tuple[F8, F8, Mask]:
    """What a network's read-in starts from: mean and SD f8[I] of inputs f4[T, I], and `alive_inputs`."""
    mean, sd = (part.astype(np.float64) for part in (clipped.mean(axis=0), clipped.std(axis=0)))
    return mean, sd, alive_inputs(clipped, bin_width_s, n_features)


def check_some_alive(alive: Mask, where: str | None = None) -> None:
    """Refuse an array without a living channel.

    Args:
        alive: bool[C], see `alive_channels`.
        where: the file or session that the error names.

    Raises:
        RtdecodeError: no channel is alive.
    """
    if not alive.any():
        raise RtdecodeError(
            f"no channel fires at {DEAD_BELOW_HZ} Hz or more", where=where, fix="use a session with spikes"
        )
