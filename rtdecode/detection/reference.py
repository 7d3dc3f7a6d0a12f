"""Re-referencing of filtered samples: what the channels have in common is taken off each of them.

Referencing follows the band-pass. For fixed weights the order makes no difference, as both are linear; but
weights that are fitted before the filter would fit field potentials, which are ten times larger than the
noise between 300 and 3,000 Hz, and a median or a dead channel is found only where there is no offset.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtdecode.detection.bandpass import BLOCK
from rtdecode.detection.settings import Measured, Reference
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.broadband import (
    add_products,
    invert,
    subtract_mean,
    subtract_median,
    subtract_predicted,
)

#: Samples per channel below which a regression on all other channels fits their noise.
ROWS_PER_CHANNEL = 10

#: Added to the variance of each channel, a part of it: two channels that are bridged have no regression.
RIDGE = 1e-3


def rereference(rows: NDArray[np.float32], reference: Reference, measured: Measured | None) -> None:
    """Subtract the reference from filtered rows f4[T, C] in place; `measured` is needed for "lrr"."""
    if reference == "car":
        subtract_mean(rows)
    elif reference == "median":
        subtract_median(rows)
    elif reference == "lrr":
        assert measured is not None
        assert measured.weights is not None
        subtract_predicted(rows, measured.weights)


def regression_weights(rows: NDArray[np.float32], alive: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Weights f4[C, C] with which the other channels (rows) predict each channel (column), 0 for itself.

    Linear regression referencing (Young et al. 2018, J Neural Eng 15:026014). All regressions follow from
    the inverse P of the covariance: the weight of j for c is −P[j, c]/P[c, c].

    Args:
        rows: f4[n, C], filtered; NaN counts as 0.
        alive: bool[C], False for a channel that takes no part.

    Raises:
        RtdecodeError: there are fewer than 10 rows per channel.
    """
    n_rows, n_channels = rows.shape
    if n_rows < ROWS_PER_CHANNEL * n_channels:
        raise RtdecodeError(
            f"{n_rows} independent samples are too few for the regression of {n_channels} channels on each "
            "other",
            fix=f"measure over a start that is {ROWS_PER_CHANNEL * n_channels / max(n_rows, 1):.1f} times "
            "longer, or use reference car",
        )
    products = np.zeros((n_channels, n_channels))
    for begin in range(0, n_rows, BLOCK):
        # Between blocks other threads may run.
        add_products(rows[begin : begin + BLOCK], products)
    chosen = np.ix_(alive, alive)
    size = np.sqrt(products.diagonal()[alive])
    precision = products[chosen] / np.outer(size, size)
    precision[np.diag_indices_from(precision)] += RIDGE
    invert(precision)
    predicts = -precision / precision.diagonal() * size / size[:, np.newaxis]
    np.fill_diagonal(predicts, 0.0)
    weights = np.zeros((n_channels, n_channels), np.float32)
    weights[chosen] = predicts
    return weights
