"""What is taken of a recording, where it holds more than one candidate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rtdecode.trial_rules import TrialRules

#: Names of times' units; any other is a number of ticks a second.
TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True)
class Choice:
    """Options of an import; the defaults suffice where there is one candidate of each.

    Attributes:
        spikes: name of the spikes; None for the only ones.
        by: "unit": each unit is a channel; "electrode": units of an electrode are one channel; None: by unit
            where units were sorted, else by electrode.
        units: condition on the columns of the units' table, such as `quality == good`; None for all.
        behavior: names of series, or of columns as SERIES/COLUMN; () for none; None for the only one.
        features: likewise; () for none.
        trials: name of the table; None for the only one; "none" for none.
        rules: markers that make trials, where there is no table.
        target, success, block: column of the table of trials that is each; None for that name itself.
        from_s, to_s: time that is kept, seconds of the file's clock (after `time_unit_s`).
        time_unit_s, behavior_time_unit_s: seconds in a unit of the file's times, of spikes and of behaviour.
        shift_s: added to the times of behaviour, trials and markers.
        stamps: whether the stamps of bins are their "start", "end" or "middle"; None: as the file states,
            else the start.
        bin_width_s: of bins; None: as the file states, else the median interval between stamps.
        rates: whether the values of bins are rates in Hz, of which counts are made.
    """

    spikes: str | None = None
    by: str | None = None
    units: str | None = None
    behavior: tuple[str, ...] | None = None
    features: tuple[str, ...] = ()
    trials: str | None = None
    rules: TrialRules | None = None
    target: str | None = None
    success: str | None = None
    block: str | None = None
    from_s: float = -math.inf
    to_s: float = math.inf
    time_unit_s: float = 1.0
    behavior_time_unit_s: float = 1.0
    shift_s: float = 0.0
    stamps: str | None = None
    bin_width_s: float | None = None
    rates: bool = False

    @property
    def cut(self) -> str:
        """For sentences about what is empty: " between --from and --to" where time is cut, else ""."""
        return " between --from and --to" if math.isfinite(self.from_s) or math.isfinite(self.to_s) else ""


def time_unit_s(text: str) -> float:
    """Seconds in a unit of time: `ms`, or ticks a second such as 30000.

    Raises:
        ValueError: it is neither.
    """
    if text in TIME_UNITS:
        return TIME_UNITS[text]
    try:
        ticks = float(text)
    except ValueError:
        ticks = math.nan
    if not (math.isfinite(ticks) and ticks > 0):
        raise ValueError(f"must be s, ms, us, ns, or a number of ticks a second such as 30000, not {text!r}")
    return 1.0 / ticks
