"""Interpolation factor α between base and fine-tuned weights (WiSE-FT).

alpha = interpolation_factor(labelled_s, zero_shot_r2(decoded, targets))

Without torch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtdecode.calibrate.data.metrics import pcc

#: Labelled time at which α is 0.5, for a base with a zero-shot r² of `SOUND` or more.
HALF_S = 120.0

#: Zero-shot r² of a base on days like its own, at least.
SOUND = 0.7


def interpolation_factor(labelled_s: float, base_r2: float = 1.0) -> float:
    """α in w₀ + α (w − w₀), from base weights w₀ to fine-tuned weights w, 0 to 1: t² / (t² + h²).

    Half a minute of labels represents the rest of a day poorly, and the fine-tuned weights then decode worse
    than the base. But if the array has changed so much that the base decodes nothing, there is nothing to
    keep: below `SOUND`, h falls from `HALF_S` with the square of the zero-shot r².

    Args:
        labelled_s: t, seconds of labels.
        base_r2: zero-shot r² of the base, see `zero_shot_r2`.
    """
    half_s = HALF_S * min(1.0, max(0.0, base_r2) / SOUND) ** 2
    return labelled_s**2 / (labelled_s**2 + half_s**2) if labelled_s else 0.0


def zero_shot_r2(decoded: NDArray[np.floating], targets: NDArray[np.floating]) -> float:
    """How well a base decodes labels that it was not trained on: mean of max(r, 0)² over outputs with labels.

    Correlation is used because scale and offset can be learnt from few labels.

    Args:
        decoded, targets: f[T, D]; targets are NaN where unknown.
    """
    known = np.isfinite(targets).any(axis=0)
    each = np.nan_to_num(np.maximum(pcc(decoded, targets), 0.0)) ** 2
    return float(each[known].sum() / max(known.sum(), 1))
