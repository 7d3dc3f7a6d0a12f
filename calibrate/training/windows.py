"""Continuous sessions cut into overlapping windows, and the blocks of them that validate a training."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtdecode.kernels.arrays import I8, Mask
from rtdecode.session.bins import stretches

N_BLOCKS = 5

#: Behaviour this close to a validation block is correlated with the block's.
MARGIN_S = 1.0

#: Part of the time of a recording with gaps that lies in stretches which are longer than a window.
MOST_OF_GAPPED = 0.8


@dataclass(frozen=True, eq=False)
class Recording:
    """One session's training data.

    Attributes:
        session: its name, which selects the network's read-in.
        counts: f4[C, T], spikes per bin.
        targets: f4[D, T], z-scored behaviour; NaN where unlabelled.
        train: f4[T], 1 for bins that are trained on, for the outputs that have a label there.
        validation: bool[T], validation bins.
        starts: i8[S], first bin of each stretch without a gap, 0 first; None for one stretch.
    """

    session: str
    counts: Tensor
    targets: Tensor
    train: Tensor
    validation: Mask
    starts: I8 | None = None

    @property
    def stretches(self) -> list[slice]:
        """The bins of each stretch, which no window crosses the ends of."""
        return stretches(self.starts, self.counts.shape[1])

    @property
    def longest_window(self) -> int:
        """Bins of a window that fits into the stretches which hold most of a recording with gaps."""
        lengths = np.sort([rows.stop - rows.start for rows in self.stretches])
        if len(lengths) == 1:
            return sys.maxsize
        held = np.cumsum(lengths) > (1.0 - MOST_OF_GAPPED) * lengths.sum()
        return max(int(lengths[held.argmax()]) - 1, 1)

    @classmethod
    def of(
        cls,
        session: str,
        counts: NDArray[np.integer | np.floating],
        targets: NDArray[np.floating],
        train: Mask,
        validation: Mask | None = None,
        starts: I8 | None = None,
    ) -> Recording:
        """A recording from arrays with time along the rows.

        Args:
            session: name of the session.
            counts: [T, C], spikes per bin, clipped.
            targets: f[T, D], z-scored behaviour; NaN where unlabelled.
            train: bool[T], bins to train on.
            validation: bool[T], validation bins; None for none.
            starts: of the stretches between gaps.
        """
        return cls(
            session=session,
            counts=torch.from_numpy(counts.T.astype(np.float32, order="C")),
            targets=torch.from_numpy(targets.T.astype(np.float32, order="C")),
            train=torch.from_numpy(train.astype(np.float32)),
            validation=np.zeros_like(train) if validation is None else validation,
            starts=starts,
        )


@dataclass(frozen=True, eq=False)
class Batch:
    """N windows.

    Attributes:
        counts: f4[N, C, W].
        targets: f4[N, D, W]; 0 where unlabelled.
        weight: f4[N, 1 or D, W], 0 in the warm-up and where unlabelled: of all outputs alike, or of each.
        sessions: N names.
    """

    counts: Tensor
    targets: Tensor
    weight: Tensor
    sessions: list[str]


def validation_blocks(labelled: Mask, fraction: float, bin_width_s: float) -> tuple[Mask, Mask]:
    """Choose five validation blocks, spread over the labelled time.

    Args:
        labelled: bool[T].
        fraction: of the labelled bins that all blocks together have.
        bin_width_s: seconds.

    Returns:
        bool[T] of training bins (none within a second of a block), and bool[T] of the blocks.
    """
    rows = np.flatnonzero(labelled)
    length = max(1, round(len(rows) * fraction / N_BLOCKS))
    validation = np.zeros_like(labelled)
    near = np.zeros_like(labelled)
    margin = round(MARGIN_S / bin_width_s)
    for chunk in np.array_split(rows, N_BLOCKS):
        centre = len(chunk) // 2
        block = chunk[max(0, centre - length // 2) :][:length]
        validation[block] = True
        near[max(0, block[0] - margin) : block[-1] + margin + 1] = True
    return labelled & ~near, validation


class WindowSampler:
    """Draws windows at random from all stretches of recordings, each start with equal probability.

    Args:
        recordings: at least one stretch is longer than a window; shorter ones are left out.
        window_bins: W.
        warmup_bins: first bins of a window that are not scored: the input before them is missing. After a
            gap, where decoders are reset, it is missing for them too, and all bins are scored.
        seed: random seed.
    """

    def __init__(
        self, recordings: Sequence[Recording], window_bins: int, warmup_bins: int, seed: int
    ) -> None:
        self._stretches = [
            (each, rows)
            for each in recordings
            for rows in each.stretches
            if rows.stop - rows.start > window_bins
        ]
        starts = [rows.stop - rows.start - window_bins for _, rows in self._stretches]
        self._ends = np.cumsum(starts)
        self._window_bins, self._warmup_bins = window_bins, warmup_bins
        self._rng = np.random.default_rng(seed)

    @property
    def n_windows(self) -> int:
        """Number of different windows, each drawn with equal probability."""
        return int(self._ends[-1])

    def reseed(self, seed: int) -> None:
        """Continue as a new sampler with this seed."""
        self._rng = np.random.default_rng(seed)

    def state(self) -> dict[str, Any]:
        """State of the random generator, as JSON can hold it."""
        return dict(self._rng.bit_generator.state)

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state`."""
        self._rng.bit_generator.state = dict(state)

    def draw(self, n: int) -> Batch:
        """N windows."""
        counts, targets, weight, sessions, warm = [], [], [], [], []
        for drawn in self._rng.integers(0, self._ends[-1], n):
            which = int(np.searchsorted(self._ends, drawn, side="right"))
            recording, rows = self._stretches[which]
            first = rows.start + int(drawn - (self._ends[which - 1] if which else 0))
            warm.append(not (first == rows.start > 0))
            bins = slice(first, first + self._window_bins)
            counts.append(recording.counts[:, bins])
            targets.append(recording.targets[:, bins])
            weight.append(recording.train[bins])
            sessions.append(recording.session)
        stacked = torch.stack(weight).unsqueeze(1)
        stacked[torch.tensor(warm), :, : self._warmup_bins] = 0.0
        labels = torch.stack(targets)
        known = ~labels.isnan()
        if bool((known == known[:, :1]).all()):
            known = known[:, :1]
        return Batch(torch.stack(counts), torch.where(labels.isnan(), 0.0, labels), stacked * known, sessions)
