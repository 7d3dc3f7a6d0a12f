"""Whether the behaviour of a session can be learnt from and scored."""

from __future__ import annotations

import numpy as np

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
    found: list[Finding] = []
    if not len(behavior.time):
        return [Finding("unknown", "the behaviour has no samples", "choose another series with --behavior")]
    ends_s = behavior.time[-1] - ENDING * (behavior.time[-1] - behavior.time[0])
    last = behavior.time > ends_s
    for name, column in zip(behavior.names, behavior.values.T.astype(np.float64), strict=True):
        known = np.isfinite(column)
        if not known.any():
            found.append(Finding("unknown", f"{name} is NaN in every sample", "leave it out with --outputs"))
            continue
        if np.ptp(column[known]) == 0.0:
            what = f"{name} is {column[known][0] + 0.0:g} in every sample"
            found.append(Finding("constant", what, "leave it out with --outputs"))
            continue
        before, after = column[known & ~last], column[known & last]
        if min(len(before), len(after)) < ENOUGH_SAMPLES:
            continue
        if (before_sd := float(before.std())) > 0 and (part := float(after.std()) / before_sd) < LITTLE:
            found.append(
                Finding(
                    "ending",
                    f"{name} varies in the last fifth by {part:.0%} of its SD before: a score there says "
                    "little of a model",
                    "score other time: --block, or cut the end off with --to at import",
                )
            )
    return found
