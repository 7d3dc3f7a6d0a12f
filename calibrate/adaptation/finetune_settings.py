"""Settings of fine-tuning. Without torch."""

from __future__ import annotations

from dataclasses import dataclass

from rtdecode.calibrate.data.splits import LAST_FIFTH
from rtdecode.calibrate.training.settings import TrainingSettings

WINDOW_S, WARMUP_S = 6.4, 0.8
SHORTEST_WINDOW_BINS = 20


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """How networks are fine-tuned to a session.

    Attributes:
        steps, batch, learning_rate: many small batches at a high rate; the result is interpolated with the
            initial weights.
        pull, only: see `TrainingSettings`.
        validation_fraction: with a deadline, fraction of the labels, the last ones, that validate.
        validate_every: steps between validations.
        validate_until: fraction of the steps after which the validation labels are trained on too, unless an
            earlier validation was better by `tolerance`.
        tolerance: R².
        patience: see `TrainingSettings`.
    """

    steps: int = 200
    batch: int = 8
    learning_rate: float = 3e-3
    pull: float = 0.0
    only: tuple[str, ...] = ()
    validation_fraction: float = LAST_FIFTH
    validate_every: int = 20
    validate_until: float = 0.4
    tolerance: float = 0.05
    patience: int = 200

    def training(self, n_bins: int, bin_width_s: float) -> TrainingSettings:
        """Training settings for this much of a session; windows are at most half as long."""
        window = max(min(round(WINDOW_S / bin_width_s), n_bins // 2), SHORTEST_WINDOW_BINS)
        return TrainingSettings(
            steps=self.steps,
            batch=self.batch,
            window_bins=window,
            warmup_bins=min(round(WARMUP_S / bin_width_s), window // 4),
            learning_rate=self.learning_rate,
            validate_every=self.validate_every,
            patience=self.patience,
            tolerance=self.tolerance,
            validate_first=True,
            validate_until=self.validate_until,
            frozen_norm=True,
            pull=self.pull,
            only=self.only,
        )
