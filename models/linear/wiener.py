"""Fitting a Wiener filter: ridge regression from the recent spike counts to the outputs.

    fit = fit_wiener([counts], [targets], bin_width_s=0.020, count_max=20)
    fit.weight, fit.bias, fit.cv_r2

Arrays in, arrays out: `rtdecode.calibrate.fitting.fit` reads sessions and writes files, `WienerDecoder`
steps the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from rtdecode.kernels.arrays import F4, F8, Inputs, Mask
from rtdecode.models.alive import alive_inputs, check_some_alive, clipped_inputs
from rtdecode.models.linear.pieces import in_one, pieces_of
from rtdecode.models.linear.ridge import N_FOLDS, PENALTIES, fit_ridge

#: Behaviour changes slower than this, noise faster: what a feature keeps over it is its signal. A channel of
#: spikes whose signal is as large as its noise has about this rate.
SIGNAL_S, EVEN_RATE_HZ = 0.06, 50.0


@dataclass(frozen=True)
class WienerSettings:
    """Settings of a fit.

    Attributes:
        history_s: seconds of counts that the filter reads; rounded to the nearest edge of a group of lags.
        lag_width_s: seconds that each of the first four groups covers.
        max_features: most groups · channels; groups are merged above it.
        penalties: ridge penalties to choose from, see `fit_ridge`.
        n_folds: blocks of cross-validation; at least 2.
    """

    history_s: float = 1.5
    lag_width_s: float = 0.06
    max_features: int = 4096
    penalties: Sequence[float] = PENALTIES
    n_folds: int = N_FOLDS

    def edges(self, bin_width_s: float, n_channels: int) -> tuple[int, ...]:
        """The groups of lags (`lag_edges`) for as many living channels."""
        max_groups = max(1, self.max_features // n_channels)
        return lag_edges(self.history_s, self.lag_width_s, bin_width_s, max_groups)


DEFAULTS = WienerSettings()


@dataclass(frozen=True, eq=False)
class WienerFit:
    """A fitted filter: y[k] = bias + Σ_h Σ_c weight[c, h] · min(counts[k−h, c], count_max).

    Attributes:
        weight: f4[C, H, D], in units of the targets per spike; 0 for dead channels.
        bias: f8[D], in units of the targets.
        good: bool[C], the living channels (`alive_channels`).
        penalty: f8[D], the ridge penalty chosen for each output.
        cv_r2: f8[D], R² over the validation folds at that penalty; NaN for a constant target.
        lag_edges: the bins of history at which weights may change, from 0 to H.
        n_rows: bins that went into the regression of the output that has most.
    """

    weight: F4
    bias: F8
    good: Mask
    penalty: F8
    cv_r2: F8
    lag_edges: tuple[int, ...]
    n_rows: int


def fit_wiener(
    counts: Sequence[Inputs | list[Inputs]],
    targets: Sequence[F4 | list[F4]],
    bin_width_s: float,
    *,
    count_max: int,
    n_features: int = 0,
    settings: WienerSettings = DEFAULTS,
    progress: Callable[[float], None] = lambda _: None,
) -> WienerFit:
    """Fit one filter to one or more recordings (`fit_ridge`).

    The penalty favours busy channels and recent lags, see `expected_weights`. The stretches of a recording
    with gaps are fitted as they are decoded, after a reset: as if there was silence before.

    Args:
        counts: u1[T, C] for each recording, or a list of those of its stretches; with features
            i2[T, C + F], their codes last.
        targets: f4[T, D] for each, likewise, NaN where unknown; each output is fitted to the bins
            that have it.
        bin_width_s: seconds.
        count_max: larger counts are clipped to it, as the decoder does.
        n_features: F.
        settings: of the fit.
        progress: called with the completed fraction of the work.

    Raises:
        RtdecodeError: no channel fires, or the bins with targets are too few for the folds.
    """
    pieces, n_pieces = pieces_of(counts)
    clipped = [clipped_inputs(block, count_max, n_features) for block in pieces]
    good = alive_inputs(clipped, bin_width_s, n_features)
    check_some_alive(good)
    duration_s = max(sum(map(len, clipped)), 1) * bin_width_s
    rate_hz = np.sum([block.sum(axis=0, dtype=np.float64) for block in clipped], axis=0) / duration_s
    signals = [block[:, good] for block in clipped]
    if n_features:
        rate_hz[-n_features:] = equivalent_rate_hz([b[:, -n_features:] for b in clipped], bin_width_s)
        signals = [block.astype(np.float64) for block in signals]
    edges = settings.edges(bin_width_s, int(good.sum()))
    fit = fit_ridge(
        in_one(signals, n_pieces, edges[-1] - 1, 0),
        in_one(pieces_of(targets)[0], n_pieces, edges[-1] - 1, np.nan),
        edges,
        expected_weights(rate_hz[good], edges),
        penalties=settings.penalties,
        n_folds=settings.n_folds,
        progress=progress,
    )
    weight = np.zeros((good.size, edges[-1], len(fit.bias)), dtype=np.float32)
    weight[good] = np.repeat(fit.weight, np.diff(edges), axis=0).transpose(1, 0, 2)
    return WienerFit(
        weight=weight,
        bias=fit.bias,
        good=good,
        penalty=fit.penalty,
        cv_r2=fit.cv_r2,
        lag_edges=edges,
        n_rows=fit.n_rows,
    )


def equivalent_rate_hz(codes: Sequence[Inputs], bin_width_s: float) -> F8:
    """The rate f8[F] of a channel of spikes that would tell as much as each feature.

    The signal of a feature is the part of its variance that is left after 60 ms; that of spikes grows with
    their rate.

    Args:
        codes: i2[T, F] for each recording.
        bin_width_s: seconds.
    """
    lag = max(1, round(SIGNAL_S / bin_width_s))
    blocks = [block.astype(np.float64) for block in codes if len(block) > lag]
    mean = np.concatenate(blocks).mean(axis=0) if blocks else 0.0
    centred = [block - mean for block in blocks]
    kept = np.sum([(b[lag:] * b[:-lag]).sum(axis=0) for b in centred], axis=0)
    total = np.sum([(b[lag:] ** 2).sum(axis=0) for b in centred], axis=0)
    signal = np.clip(np.divide(kept, total, out=np.zeros_like(total), where=total > 0), 1e-3, 0.95)
    return np.asarray(EVEN_RATE_HZ * signal / (1.0 - signal))


def expected_weights(rate_hz: F8, edges: tuple[int, ...]) -> F8:
    """Relative size of the weights that features of SD 1 are expected to have: (rate / width of the group)^¼.

    Args:
        rate_hz: f8[C], mean rate of each channel.
        edges: of the groups of lags.

    Returns:
        f8[groups, C].
    """
    return np.asarray((rate_hz / np.diff(edges)[:, np.newaxis]) ** 0.25)


def lag_edges(
    history_s: float, lag_width_s: float, bin_width_s: float, max_groups: int | None = None
) -> tuple[int, ...]:
    """Where groups of lags begin and end, in bins: lags edges[i] to edges[i+1]−1 share their weights.

    In units of the lag width (rounded to whole bins, at least one) the edges are 0 1 2 3 4 6 8 12 16 24 32 …,
    two groups an octave: fine where movement is decided, coarse in the past. The last is the one nearest to
    `history_s`. More than `max_groups` groups are merged with their neighbours, evenly along the history.
    """
    width = max(1, round(lag_width_s / bin_width_s))
    n_history = history_s / bin_width_s
    edges = [0, width]
    for edge in (step << octave for octave in count() for step in (2, 3)):
        if edge * width - n_history > n_history - edges[-1]:
            break
        edges.append(edge * width)
    if max_groups is not None and len(edges) - 1 > max_groups:
        edges = [edges[round(i)] for i in np.linspace(0, len(edges) - 1, max_groups + 1)]
    return tuple(edges)


def centred_edges(edges: Sequence[int]) -> tuple[int, ...]:
    """Groups of lags on both sides of bin t, from those of its past, which start at 0.

    The group that holds bin t itself is kept; each of the others gets its mirror image.
    """
    own = edges[1]
    return (*(own - edge for edge in reversed(edges[1:])), *edges[1:])
