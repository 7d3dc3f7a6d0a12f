"""How late a source pushes, compared with its plan."""

from __future__ import annotations

from dataclasses import dataclass

#: A push is late from here on: without a fault or a `--jitter` none waits that long.
LATE_S = 0.010


@dataclass
class Lateness:
    """Delays of pushes.

    Attributes:
        pushes: number of pushes.
        late: those more than `LATE_S` after their time.
        worst_s: largest delay, s.
    """

    pushes: int = 0
    late: int = 0
    worst_s: float = 0.0

    def add(self, delay_s: float) -> None:
        """Count one push."""
        self.pushes += 1
        self.late += delay_s > LATE_S
        self.worst_s = max(self.worst_s, delay_s)

    def __str__(self) -> str:
        return (
            f"{self.late} of {self.pushes} pushes were more than {LATE_S * 1e3:g} ms late, "
            f"the worst by {self.worst_s * 1e3:.0f} ms"
        )
