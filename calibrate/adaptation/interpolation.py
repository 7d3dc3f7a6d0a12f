"""How near a calibration stays to its base: the less is known of today, the nearer.

part = part_of_the_way(labelled_s, worth(decoded, targets))

Without torch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtdecode.calibrate.data.metrics import pcc

#: Labelled time after which half of the way is gone, where the base is worth its days.
HALF_S = 120.0

#: What a base that decodes days like its own is worth today (`worth`), at least.
SOUND = 0.7


def part_of_the_way(labelled_s: float, worth_today: float = 1.0) -> float:
    """How far to go from a base towards what `labelled_s` seconds of labels say, 0 to 1.

    Half a minute of labels says little about the rest of a day, and all of the way there decodes worse than
    not going at all. But where the array has changed so much that the base knows nothing of today, there is
    nothing to stay near to: below `SOUND`, the time that has half of the say falls with the square of what
    the base is worth.

    Args:
        labelled_s: seconds.
        worth_today: of the base, see `worth`.
    """
    half_s = HALF_S * min(1.0, max(0.0, worth_today) / SOUND) ** 2
    return labelled_s**2 / (labelled_s**2 + half_s**2) if labelled_s else 0.0


def worth(decoded: NDArray[np.floating], targets: NDArray[np.floating]) -> float:
    """How well a base decodes labels of today that it has not seen: mean over outputs of max(r, 0)².

    By correlation and not by R²: a scale or an offset that is off today is learnt from few labels.

    Args:
        decoded, targets: f[T, D]; rows with a NaN do not count.
    """
    return float(np.mean(np.nan_to_num(np.maximum(pcc(decoded, targets), 0.0)) ** 2))
