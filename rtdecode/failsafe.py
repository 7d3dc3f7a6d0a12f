"""The value that is published instead of the decoder's own: one rule, live and offline.

Position is held, velocity is 0. The rule uses only the flags of the bin and the value of the
decoder, so a recording reproduces it exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rtdecode.artifact import Output
from rtdecode.kernels.arrays import F4
from rtdecode.messages import Flag

HELD = int(Flag.FAILSAFE | Flag.PAUSED)


class FailSafe:
    """Returns the value of the decoder, or holds the last one.

    Args:
        outputs: of the model; those of role "velocity" become 0 while held, all others keep their value.
            Before the first value that is the mean of the output in the training data.

    Attributes:
        value: f4[n_outputs], to be published.
        finite: whether the last decoded value was neither NaN nor infinite.
    """

    def __init__(self, outputs: Sequence[Output]) -> None:
        self.finite = True
        self._velocity = np.array([output.role == "velocity" for output in outputs])
        self.value: F4 = np.array([output.mean for output in outputs], np.float32)
        self.value[self._velocity] = 0.0

    def apply(self, decoded: F4 | None, flags: int) -> int:
        """Set `value` for one bin.

        Args:
            decoded: f4[n_outputs] from the decoder, None if it was not stepped.
            flags: the bin's flags so far.

        Returns:
            The flags, FAILSAFE among them if the decoder's value is not finite.
        """
        # The sum, in double precision, is finite if all values are; NumPy takes ten times as long.
        self.finite = decoded is None or math.isfinite(sum(decoded.tolist()))
        if not self.finite:
            flags |= Flag.FAILSAFE
        if decoded is None or flags & HELD:
            self.value[self._velocity] = 0.0
        else:
            self.value[:] = decoded
        return int(flags)
