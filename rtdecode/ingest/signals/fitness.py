"""Whether samples of a counts stream can be counts, at the rate that it announces."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.kernels.arrays import F8, I4, I8
from rtdecode.kernels.sequence import MOST_OFF
from rtdecode.session.diagnosis.arrays import in_columns

#: Nothing is decoded where more than this part of the latest samples, some 50, hold what is no count, until
#: fewer than the lower part do.
UNFIT, FIT_AGAIN, UNFIT_GAIN = 0.25, 0.05, 0.02

#: Number of the latest stamps by whose intervals the rate is judged; pauses and losses do not matter.
N_STAMPS = 64

#: What a value is that is no count; and in whole numbers what stands for the first three, which have none.
KINDS = ("NaN", "infinity", "fractions", "negative values")
NO_NUMBERS = np.iinfo(np.int32).min + np.arange(3, dtype=np.int32)


def as_whole(rows: NDArray[Any], out: I4) -> None:
    """Values of any type as whole numbers.

    Args:
        rows: [n, n_channels], as they are sent.
        out: i4[n, n_channels], receives them: what is no number or a fraction as its NO_NUMBERS, what is
            negative as -1, and what is very large as a smaller number above 255.
    """
    if not np.issubdtype(rows.dtype, np.floating):
        np.copyto(out, np.clip(rows, -1, min(np.iinfo(rows.dtype).max, 1 << 30)), casting="unsafe")
        return
    whole = rows == np.rint(rows)
    np.copyto(out, np.clip(np.where(whole, rows, 0), -1, 1 << 30), casting="unsafe")
    infinite = np.isinf(rows)
    if not whole.all() or infinite.any():
        for wrong, number in zip(
            (np.isnan(rows), infinite, ~whole & ~np.isnan(rows)), NO_NUMBERS, strict=True
        ):
            out[wrong] = number


class Fitness:
    """Judges one source.

    Args:
        period_s: that it announces.

    Attributes:
        n_samples: number of samples so far.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s, self._part_unfit = period_s, 0.0
        self._values = self._rate = ""
        self._wrong: I8 = np.zeros((len(KINDS), 0), np.int64)
        self._large: I8 = np.zeros(0, np.int64)
        self._stamps: F8 = np.zeros(0)
        self._n_unjudged = 0
        self.n_samples, self._n_counted, self._sum = 0, 0, 0

    @property
    def mean_count(self) -> float:
        """Mean of all counts, those above 255 as 255; 0 before the first sample."""
        return self._sum / max(self._n_counted, 1)

    @property
    def unfit(self) -> str:
        """Why nothing is decoded of what it sends, "" while all is."""
        return self._values or self._rate

    @property
    def wrong(self) -> str:
        """Which values are no counts, and where, "" if all are."""
        found = [in_columns(kind, n) for kind, n in zip(KINDS, self._wrong, strict=True) if n.any()]
        return " and ".join(found)

    @property
    def advice(self) -> str:
        """What to do about them."""
        if self._wrong[2:].any() or not self._wrong.any():
            return "send counts, not rates or z-scores"
        return "send 0 where there are no spikes, for a channel that is off too"

    @property
    def n_saturated(self) -> int:
        """Number of counts above 255, which are read as 255."""
        return int(self._large.sum())

    @property
    def saturated(self) -> str:
        """Where counts are above 255, "" if nowhere."""
        return in_columns("counts above 255", self._large) if self._large.any() else ""

    def values(self, rows: I4) -> None:
        """One sample that holds no counts is counted; many are rates or z-scores.

        Args:
            rows: i4[n, n_channels] of `as_whole`, negative for a value that is no count.
        """
        if not self._large.size:
            self._wrong, self._large = (
                np.zeros((len(KINDS), rows.shape[1]), np.int64),
                np.zeros_like(rows[0], np.int64),
            )
        large, wrong = rows > 255, rows < 0
        self.n_samples += len(rows)
        self._n_counted += rows.size
        self._sum += int(np.clip(rows, 0, 255).sum())
        if large.any():
            self._large += large.sum(axis=0)
        if wrong.any():
            np.add.at(self._wrong, (np.searchsorted(NO_NUMBERS, rows[wrong]), np.nonzero(wrong)[1]), 1)
        for is_unfit in np.any(wrong, axis=1).tolist():
            self._part_unfit += UNFIT_GAIN * (is_unfit - self._part_unfit)
        if self._part_unfit < FIT_AGAIN:
            self._values = ""
        elif self._part_unfit > UNFIT and not self._values:
            self._values = f"its values are no counts: {self.wrong}"

    def stamps(self, time: F8) -> None:
        """A rate too far from the announced one cannot be followed: samples would be taken for lost.

        Args:
            time: f8[n], possible stamps of the latest samples, s.
        """
        self._stamps = np.concatenate((self._stamps, time))[-N_STAMPS:]
        self._n_unjudged += len(time)
        if len(self._stamps) < N_STAMPS or self._n_unjudged < N_STAMPS // 4:
            return
        self._n_unjudged = 0
        interval_s = float(np.median(np.diff(self._stamps)))
        self._rate = ""
        if interval_s > 0.0 and abs(interval_s / self._period_s - 1.0) > MOST_OFF:
            announced_hz = 1.0 / self._period_s
            self._rate = (
                f"it sends at {1.0 / interval_s:.1f} Hz, not at the {announced_hz:g} Hz that it announces"
            )

    def restart(self) -> None:
        """The stamps have moved."""
        self._stamps = np.zeros(0)
