"""The output stage: the same code live and offline, one step a bin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtdecode.artifact import Output
from rtdecode.kernels.arrays import F4
from rtdecode.kernels.output import output_step
from rtdecode.messages import Flag
from rtdecode.output.settings import OutputSettings, plan_output

#: Bins with a held value, or decoded from silence, do not move the cursor.
UNTRUSTED = int(Flag.FAILSAFE | Flag.PAUSED | Flag.STALE)


class OutputStage:
    """Turns each bin's decoded value into a cursor in the workspace.

        stage = OutputStage(OutputSettings(control="velocity"), artifact.outputs, 0.020, "rig.toml")
        stage.step(value, flags)
        stage.value                                  # f4[n_axes], what is published as `out`

    Bins flagged FAILSAFE, PAUSED or STALE do not move the cursor.

    Args:
        settings: checked.
        outputs: of the model.
        bin_width_s: Δ.
        where: file or table named in errors.

    Attributes:
        settings: as given.
        names, units: of the axes.
        value: f4[n_axes], the cursor of the last bin, overwritten by the next.

    Raises:
        RtdecodeError: the settings do not fit the model.
    """

    def __init__(
        self, settings: OutputSettings, outputs: Sequence[Output], bin_width_s: float, where: str
    ) -> None:
        self._plan = plan = plan_output(settings, outputs, bin_width_s, where)
        self.settings, self.names, self.units = settings, plan.names, plan.units
        self._cursor, self._drift = plan.home.copy(), np.zeros(len(plan.home))
        arrays = (plan.position, plan.velocity, plan.matrix, plan.offset, plan.home, plan.low, plan.high)
        self._arrays = (*arrays, plan.rates, self._cursor, self._drift, np.zeros(len(plan.home)))
        self.value: F4 = plan.home.astype(np.float32)
        # Numba compiles now, not in the first bin of a live session.
        output_step(np.zeros(len(outputs), np.float32), *self._arrays)
        self.reset()

    def reset(self) -> None:
        """Set the cursor to home and the drift to 0."""
        self._cursor[:] = self._plan.home
        self._drift[:] = 0.0
        self.value[:] = self._cursor

    def step(self, value: F4, flags: int) -> None:
        """Process one bin: its published value f4[n_outputs] and its final flags."""
        if not flags & UNTRUSTED:
            output_step(value, *self._arrays)
            self.value[:] = self._cursor
