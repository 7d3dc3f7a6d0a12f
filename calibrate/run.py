"""How a training or calibration is run: seed, device, deadline, progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def _ignore(_value: float) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a training or calibration.

    Attributes:
        seed: random seed; each member of an ensemble has one of its own, drawn from it.
        device: where to train: auto (a GPU if there is one), cpu, cuda …
        deadline_s: time of `time.monotonic` at which the best weights so far are taken; None for no limit.
        progress: called with the fraction of the work that is done, 0 to 1.
        on_validation: called with the best mean R² so far, after a validation step that improves it.
    """

    seed: int = 0
    device: str = "auto"
    deadline_s: float | None = None
    progress: Callable[[float], None] = _ignore
    on_validation: Callable[[float], None] = _ignore
