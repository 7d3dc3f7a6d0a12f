"""Settings of fine-tuning. Without torch."""

from __future__ import annotations

from rtdecode.calibrate.training.settings import TrainingSettings

WINDOW_S, SHORTEST_WINDOW_BINS = 6.4, 20

#: Many small batches at a high rate; the result is interpolated with the initial weights. With a deadline the
#: last labels validate, and are trained on too after 40 % of the steps, unless an earlier validation was
#: better by the tolerance.
FINETUNING = TrainingSettings(
    steps=200,
    batch=8,
    validate_every=20,
    patience=200,
    tolerance=0.05,
    validate_first=True,
    validate_until=0.4,
    frozen_norm=True,
)


def finetuning(settings: TrainingSettings, n_bins: int, bin_width_s: float) -> TrainingSettings:
    """The settings for this much of a session; windows are at most half as long."""
    return settings.in_windows(WINDOW_S, max(n_bins // 2, SHORTEST_WINDOW_BINS), bin_width_s)
