"""What becomes of the samples of a stream that is recorded beside the spikes."""

from __future__ import annotations

from typing import NamedTuple


class Fates(NamedTuple):
    """Numbers of samples: kept, and left out by reason.

    Attributes:
        received: all.
        kept: given to the recorder.
        judging: while no stamps were trusted.
        ahead, behind, not_finite: with a stamp that is impossible.
        disordered: not later than the one before.
        empty: without any value.
        waiting: not decided yet.
    """

    received: int = 0
    kept: int = 0
    judging: int = 0
    ahead: int = 0
    behind: int = 0
    not_finite: int = 0
    disordered: int = 0
    empty: int = 0
    waiting: int = 0

    @property
    def left_out(self) -> dict[str, int]:
        """Those that are not kept, by reason; 0 for what did not happen."""
        return {
            "stamped ahead of now": self.ahead,
            "stamped long ago": self.behind,
            "stamped NaN or infinite": self.not_finite,
            "while their clock was judged": self.judging,
            "not later than the one before": self.disordered,
            "without any value": self.empty,
        }

    @property
    def n_left_out(self) -> int:
        """Number of those that are not kept."""
        return self.received - self.kept - self.waiting
