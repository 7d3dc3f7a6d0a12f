"""How a training or calibration is run: seed, device, deadline, processes, callbacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtdecode.calibrate.progress import ignore

if TYPE_CHECKING:
    from rtdecode.calibrate.training.distributed.ranks import Ranks


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a training or calibration.

    Attributes:
        seed: random seed; each member of an ensemble has one of its own, drawn from it.
        device: where to train: auto (a GPU if there is one), cpu, cuda …
        deadline_s: time of `time.monotonic` at which the best weights so far are taken; None for no limit.
        at_once: members of an ensemble that are trained at the same time on a CPU; None for one per core.
        ranks: processes that train together; None for this one alone.
        progress: called with the fraction of the work that is done, 0 to 1.
        on_validation: called with the best mean R² so far, after a validation step that improves it.
    """

    seed: int = 0
    device: str = "auto"
    deadline_s: float | None = None
    at_once: int | None = None
    ranks: Ranks | None = None
    progress: Callable[[float], None] = ignore
    on_validation: Callable[[float], None] = ignore
