"""How often something is sampled."""

from __future__ import annotations

import numpy as np

from rtdecode.tools.files.recording import F8


def rate_of(time: F8) -> float | None:
    """Samples a second, about; None where the times do not say."""
    if len(time) < 2:
        return None
    step = float(np.median(np.diff(time)))
    return 1 / step if step > 0 else None
