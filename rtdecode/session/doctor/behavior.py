"""Whether the behaviour of a session can be learnt from and scored."""

from __future__ import annotations

import numpy as np

from rtdecode.kernels.arrays import F8
from rtdecode.session.doctor.finding import Finding
from rtdecode.session.layout import Behavior

#: Part of the end on which models are scored.
ENDING = 0.2

#: An output whose SD in the ending is below this part of that before, says little there.
LITTLE = 0.3

#: Fewer samples show nothing.
ENOUGH_SAMPLES = 100


def examine_behavior(behavior: Behavior) -> list[Finding]:
    """Columns that are constant or unknown, or that hardly vary at the end, where models are scored."""
    if not len(behavior.time):
        return [
            Finding("no_samples", "the behaviour has no samples", "choose another series with --behavior")
        ]
    last = behavior.time > behavior.time[-1] - ENDING * (behavior.time[-1] - behavior.time[0])
    constant: list[str] = []
    still: list[str] = []
    for name, column in zip(behavior.names, behavior.values.T.astype(np.float64), strict=True):
        known = np.isfinite(column)
        # Columns without any value are named by the reader.
        if not known.any():
            continue
        if np.ptp(column[known]) == 0.0:
            constant.append(f"{name} is {column[known][0] + 0.0:g} in every sample")
        elif (part := _part_of_sd(column[known & last], column[known & ~last])) < LITTLE:
            still.append(f"{name} by {part:.0%}")
    found = []
    if constant:
        found.append(Finding("constant", "; ".join(constant), "leave such columns out with --outputs"))
    if still:
        found.append(
            Finding(
                "ending",
                f"{', '.join(still)} of the SD before: so little does the behaviour vary in the last fifth, "
                "and a score there says little of a model",
                "score other time: --block, or cut the end off with --to at import",
            )
        )
    return found


def _part_of_sd(ending: F8, before: F8) -> float:
    """SD of the ending as a part of that before; 1 where there are too few samples to tell."""
    if min(len(ending), len(before)) < ENOUGH_SAMPLES or not before.std() > 0:
        return 1.0
    return float(ending.std() / before.std())
