"""Judges the stamps of a source before anything is anchored, numbered, binned or recorded by them.

    judge = ClockJudge(JudgeSettings(), opened_s=now)
    verdict = judge.step(inlet.time, n, now, emptied=n < MAX_PULL)
    # inlet.time[:n] is on our clock now, judge.possible[:n] marks the stamps that may be used, and
    # verdict.trusted tells whether output may rest on them without a flag.
    ...  # what cannot wait is done with them
    judge.learn(inlet.time, n, now, emptied=n < MAX_PULL, attentive=waited)
    # Later stamps get judge.offset_s added.

Three observations decide (docs/time.md):

- *Possible*: what arrives now was stamped before now, and not long before the last arrival, unless its stamps
  continue those before: then it is not the clock that is behind, but the delivery.
- *Doubt*: one wild stamp costs its own sample. Where more than a fifth are impossible, the clock is in
  doubt, and is shifted once its stamps have agreed on an offset for a quarter of a second.
- *Delivery*: arrival − stamp of the newest sample of a pull is never below 0, and again and again close
  to the fastest delivery of the source. Where that changes, the source's clock has drifted or stepped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rtdecode.ingest.clock.period import Period
from rtdecode.ingest.clock.settings import JudgeSettings
from rtdecode.kernels.stamps import (
    N_IMPOSSIBLE,
    lower_quartile,
    newest_finite,
    newest_possible,
    weigh_stamps,
)

F8 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Verdict:
    """On the stamps of one pull.

    Attributes:
        trusted: False while the clock is in doubt.
        jump_s: seconds by which the stamps of this pull and of later ones were moved, which ended a doubt:
            bins must be anchored again.
    """

    trusted: bool
    jump_s: float = 0.0


TRUSTED = Verdict(True)
DOUBTED = Verdict(False)


class ClockJudge:
    """Judges one connected source.

    Args:
        settings: limits.
        opened_s: when its inlet was opened, on our clock: its queue holds nothing that arrived earlier.
        most: largest number of samples in a pull.

    Attributes:
        offset_s: seconds added to the source's stamps so far.
        possible: u1[most], of the samples of the last pull.
        impossible: i8[N_IMPOSSIBLE], number of samples stamped ahead, behind and not finite so far.
        floor_s: fastest delivery of the source, NaN until it is known.
    """

    def __init__(self, settings: JudgeSettings, opened_s: float, most: int) -> None:
        self._settings = settings
        self.offset_s = 0.0
        self.possible = np.zeros(most, np.uint8)
        self.impossible = np.zeros(N_IMPOSSIBLE, np.int64)
        self.floor_s = math.nan
        self._fluctuation_s = 0.0
        self._floor_quartile_s = math.nan
        self._of_pull = np.zeros(N_IMPOSSIBLE, np.int64)
        self._recent = np.zeros(settings.n_recent)
        self.restart(opened_s)

    def restart(self, now: float) -> None:
        """Forget what was observed: our clock, the connection or the correction has changed."""
        self._arrived_s = now
        self._newest_s = math.inf
        self._doubt = 0.0
        self._forget_ages(now)

    def correct(self, now: float) -> None:
        """Judge from the start: the correction of the source's clock was measured again."""
        self.offset_s = 0.0
        self.restart(now)

    @property
    def trusted(self) -> bool:
        """Whether the clock is beyond doubt."""
        return math.isnan(self._doubted_since_s)

    @property
    def verdict(self) -> Verdict:
        """On the stamps of the last pull: TRUSTED or DOUBTED."""
        return TRUSTED if self.trusted else DOUBTED

    def _forget_ages(self, now: float) -> None:
        self._doubted_since_s = math.nan
        self._doubtful: list[float] = []
        self._n_recent = 0
        self._period = Period(now)
        self._fastest: list[float] = []
        self._quartiles: list[float] = []
        self._set_back_s, self._set_back_at_s, self._since_s = 0.0, now, now

    def step(self, time: F8, n: int, now: float, *, emptied: bool) -> Verdict:
        """Judge the `n` >= 1 samples of a pull.

        Args:
            time: f8[>=n], their stamps with `offset_s` added; shifted in place where the clock has jumped.
            now: when they were pulled, on our clock.
            emptied: whether the pull took all that had arrived.
        """
        doubt = self._weigh(time, n, now)
        if doubt == 0.0 and self.trusted:
            self._doubt = 0.0
            return TRUSTED
        jump_s = self._agreed_jump(now - newest_finite(time, n), now, doubt) if emptied else 0.0
        if jump_s:
            time[:n] += jump_s
            self._shift(jump_s, now)
            # What had arrived before is as old as it was: only the stamps have moved.
            self._newest_s = math.inf
            doubt = self._weigh(time, n, now)
        self._doubt = doubt
        return replace(self.verdict, jump_s=jump_s) if jump_s else self.verdict

    def learn(self, time: F8, n: int, now: float, *, emptied: bool, attentive: bool) -> float:
        """Follow a clock that drifts, or steps by less than what is impossible.

        Args:
            time, n, now, emptied: as `step` was given and left them.
            attentive: whether the samples were waited for, so that `now` is when they arrived.

        Returns:
            Seconds by which later stamps are moved, added to `offset_s`; 0.0 mostly.
        """
        self.impossible += self._of_pull
        newest_s = newest_possible(time, self.possible, n)
        shift_s = 0.0
        if emptied:
            self._arrived_s = now
            if attentive and math.isfinite(newest_s) and self._doubt < self._settings.doubt_from:
                shift_s = self._drift(now - newest_s, now)
        if shift_s:
            self._shift(shift_s, now)
            self._newest_s += shift_s
        if math.isfinite(newest_s):
            self._continue(newest_s + shift_s, now)
        return shift_s

    def _shift(self, shift_s: float, now: float) -> None:
        self.offset_s += shift_s
        self._doubt = 0.0
        self._forget_ages(now)

    def _continue(self, newest_s: float, now: float) -> None:
        """Note how far the newest possible stamp of a pull continues those before, or sets them back."""
        if math.isinf(self._newest_s):
            self._newest_s = newest_s
        back_s = self._newest_s - newest_s
        if back_s > self._set_back_s + self._settings.least_step_s:
            self._set_back_s, self._set_back_at_s = back_s, now
            self._n_recent = 0
        self._newest_s = max(self._newest_s, newest_s)

    def _weigh(self, time: F8, n: int, now: float) -> float:
        settings = self._settings
        return weigh_stamps(
            time,
            n,
            min(self._arrived_s, self._newest_s) - settings.max_age_s,
            now + settings.ahead_s,
            self._doubt,
            settings.relief,
            settings.doubt_from + 1.0,
            self.possible,
            self._of_pull,
        )

    def _agreed_jump(self, age_s: float, now: float, doubt: float) -> float:
        """The shift on which the stamps of a clock in doubt agree, 0.0 while there is none."""
        settings = self._settings
        if doubt == 0.0:
            self._doubted_since_s = math.nan
            self._doubtful.clear()
        elif doubt >= settings.doubt_from and math.isnan(self._doubted_since_s):
            self._doubted_since_s = now
        if math.isnan(self._doubted_since_s) or not math.isfinite(age_s):
            return 0.0
        self._doubtful.append(age_s)
        if now - self._doubted_since_s < settings.confirm_s or len(self._doubtful) < settings.confirm_pulls:
            return 0.0
        ages_s = np.sort(self._doubtful)
        self._doubtful.clear()
        self._doubted_since_s = now
        low, high = ages_s[len(ages_s) // 4], ages_s[(3 * len(ages_s)) // 4]
        if high - low > settings.max_age_s:
            return 0.0
        fastest = float(ages_s[ages_s >= low - settings.max_age_s].min())
        shift_s = fastest - self._usual_s()
        return shift_s if abs(shift_s) >= settings.least_step_s else 0.0

    def _drift(self, age_s: float, now: float) -> float:
        """The shift by which a clock has drifted or stepped within what is possible, 0.0 for none."""
        settings = self._settings
        self._recent[self._n_recent % settings.n_recent] = age_s
        self._n_recent += 1
        if self._n_recent >= settings.n_recent:
            typical_s = float(lower_quartile(self._recent, settings.n_recent))
            if typical_s < -settings.least_step_s:
                return typical_s - self._usual_s()
            known = math.isfinite(self.floor_s) or self._fastest or self._period.n >= settings.period_pulls
            if known and self._set_back_s > 0.0 and now - self._set_back_at_s >= settings.set_back_s:
                # All samples since the stamps were set back are older by about as much: the clock was.
                # Less than what deliveries scatter is chance, as of blocks in the order of electrodes.
                fastest_s = float(self._recent.min())
                older_s, scatter_s = fastest_s - self._usual_s(), float(np.median(self._recent)) - fastest_s
                # The samples of the step were stamped some time after the newest before it.
                beyond_s = older_s - self._set_back_s
                fits = -settings.slack_s <= beyond_s <= settings.slack_s + 0.5 * self._set_back_s
                if fits and older_s >= max(settings.slack_s, scatter_s):
                    return older_s
        period = self._period
        period.add(age_s)
        if now - period.begun_s < settings.period_s or period.n < settings.period_pulls:
            return 0.0
        self._fastest.append(period.fastest_s())
        self._quartiles.append(period.quartile_s())
        self._period = Period(now)
        return self._slower(now, period.scatter_s())

    def _usual_s(self) -> float:
        """The fastest delivery before the stamps moved, as far as it is known."""
        if not math.isnan(self.floor_s):
            return self.floor_s
        known = self._period.n >= self._settings.period_pulls
        period = [self._period.fastest_s()] if known else []
        return max(min([*self._fastest, *period], default=0.0), 0.0)

    def _slower(self, now: float, scatter_s: float) -> float:
        """How much slower than its own the fastest delivery of the last periods was, 0.0 if it was not."""
        settings, fastest_s = self._settings, self._fastest
        if math.isnan(self.floor_s):
            if len(fastest_s) == settings.n_periods:
                self._set_floor()
                # Second differences: a drifting clock makes it neither larger nor smaller.
                self._fluctuation_s = 0.5 * float(np.abs(np.diff(fastest_s, 2)).max())
            return 0.0
        del fastest_s[: -settings.n_periods], self._quartiles[: -settings.n_periods]
        least_s = max(settings.least_step_s, settings.fluctuations * self._fluctuation_s, scatter_s)
        if len(fastest_s) == settings.n_periods and max(fastest_s) < self.floor_s - least_s:
            self._set_floor()
        if len(fastest_s) < settings.n_slower:
            return 0.0
        slower_s = min(fastest_s[-settings.n_slower :]) - self.floor_s
        # By chance alone only the fastest delivery of a source that scatters is slower: a clock moves all.
        if min(self._quartiles[-settings.n_slower :]) - self._floor_quartile_s < least_s:
            return 0.0
        # A clock steps back with its stamps, or drifts slowly: where neither is, the delivery is slower.
        most_s = self._set_back_s + settings.slack_s + settings.drift * (now - self._since_s)
        return slower_s if least_s <= slower_s <= most_s else 0.0

    def _set_floor(self) -> None:
        self.floor_s = max(float(np.median(self._fastest)), 0.0)
        self._floor_quartile_s = float(np.median(self._quartiles))
