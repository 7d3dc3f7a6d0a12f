"""What the core of the loop receives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """Settings of the core.

    Attributes:
        grace_s: how long bins wait for samples, None for the delivery delay of the source.
        failsafe_after_s: silence after which values are flagged FAILSAFE.
    """

    grace_s: float | None = None
    failsafe_after_s: float = 1.0


class Pull(NamedTuple):
    """One pull from the attached source.

    Attributes:
        n: number of samples that the feed holds now.
        now: when it ended, s.
        emptied: whether it took all that had arrived.
        attentive: whether the samples were waited for, so that `now` is when they arrived.
        held_up_s: how much later than meant it ended.
    """

    n: int
    now: float
    emptied: bool = True
    attentive: bool = False
    held_up_s: float = 0.0
