"""Limits of the clock judge (docs/time.md)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JudgeSettings:
    """Limits of what is believed.

    Attributes:
        ahead_s: a stamp further ahead of our clock is impossible; less is an error of synchronisation.
        max_age_s: a stamp older than this when the samples before it arrived is impossible; a source that
            was held up may deliver samples as old as its silence.
        doubt_from: number of impossible stamps in a row that puts the clock in doubt.
        relief: fraction of an impossible stamp that a possible one makes up for.
        confirm_s, confirm_pulls: how long and in how many pulls a clock in doubt must agree on one offset.
        least_step_s: smallest change that is followed.
        n_recent: number of recent pulls by which a clock ahead of ours is detected.
        period_s, period_pulls: least duration and number of pulls over which the fastest delivery is taken.
        n_periods: number of first periods that set the source's own fastest delivery and its fluctuation.
        n_slower: number of periods in a row in which it must be slower.
        fluctuations: smallest change that is followed, in fluctuations.
        drift, slack_s: a clock whose stamps are not set back falls behind by at most this fraction of the
            time, and this in addition.
        set_back_s: how long samples must be older after the stamps were set back.
    """

    ahead_s: float = 0.005
    max_age_s: float = 0.25
    doubt_from: float = 3.0
    relief: float = 0.25
    confirm_s: float = 0.25
    confirm_pulls: int = 3
    least_step_s: float = 0.001
    n_recent: int = 16
    period_s: float = 2.0
    period_pulls: int = 64
    n_periods: int = 4
    n_slower: int = 2
    fluctuations: float = 3.0
    drift: float = 1e-3
    slack_s: float = 0.003
    set_back_s: float = 0.1
