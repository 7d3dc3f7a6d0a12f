"""What a bridge reports while it runs and at its end."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class BridgeStatus:
    """How a bridge stands.

    Attributes:
        state: of the connection.
        spikes, rate_hz: number of spikes sent, and how many a second since the last report.
        samples: continuous samples sent.
        lost_spikes, lost_samples: that were sent to us and never came, as far as counters tell.
        garbled: what could not be read, by reason.
        held: items that wait until the clock is known.
        clock_bound_ms: largest error of the stamps, infinity until it is known.
        drift_ppm: of the device's clock against ours.
        segments: how often the system began to count.
        final: whether the bridge has ended.
    """

    state: str
    spikes: int
    rate_hz: float
    samples: int
    lost_spikes: int
    lost_samples: int
    garbled: dict[str, int] = field(default_factory=dict)
    held: int = 0
    clock_bound_ms: float = math.inf
    drift_ppm: float = 0.0
    segments: int = 0
    final: bool = False

    def document(self) -> dict[str, Any]:
        """The status as a JSON document."""
        return asdict(self)

    def line(self) -> str:
        """The status on one line."""
        parts = [self.state, f"spikes {self.spikes:,} ({self.rate_hz:,.0f}/s)", f"lost {self.lost_spikes:,}"]
        if self.samples or self.lost_samples:
            parts.append(f"samples {self.samples:,} ({self.lost_samples:,} lost)")
        parts.append(f"garbled {sum(self.garbled.values()):,}")
        if self.held:
            parts.append(f"held {self.held:,}")
        known = math.isfinite(self.clock_bound_ms)
        parts.append(f"clock ±{self.clock_bound_ms:.2f} ms" if known else "clock not known yet")
        return "  ".join(parts)

    def summary(self) -> list[str]:
        """The lines at the end."""
        lines = [
            f"sent {self.spikes:,} spikes"
            + (f" and {self.samples:,} continuous samples" if self.samples else "")
            + f"; lost {self.lost_spikes:,} spikes"
            + (f" and {self.lost_samples:,} samples" if self.lost_samples else "")
        ]
        lines += [f"garbled: {n:,} x {reason}" for reason, n in sorted(self.garbled.items())]
        if self.held:
            lines.append(f"not sent: {self.held:,}, whose clock was not known yet")
        return lines
