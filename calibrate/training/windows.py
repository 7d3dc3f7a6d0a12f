"""Continuous sessions cut into overlapping windows, some of them kept back to see when to stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

N_BLOCKS = 5

#: Behaviour this near to a validation block says what it holds.
MARGIN_S = 1.0


@dataclass(frozen=True, eq=False)
class Recording:
    """One session as training sees it.

    Attributes:
        session: its name, by which the network reads it in.
        counts: f4[C, T], spikes per bin.
        targets: f4[D, T], z-scored behaviour; 0 where unknown.
        learnt: f4[T], 1 for bins that are learnt from.
        validated: bool[T], bins that only tell when to stop.
    """

    session: str
    counts: Tensor
    targets: Tensor
    learnt: Tensor
    validated: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Batch:
    """Some windows.

    Attributes:
        counts: f4[N, C, W].
        targets: f4[N, D, W].
        weight: f4[N, 1, W], 0 where the network warms up or nothing is known.
        sessions: N names.
    """

    counts: Tensor
    targets: Tensor
    weight: Tensor
    sessions: list[str]


def validation_blocks(
    known: NDArray[np.bool_], part: float, bin_width_s: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Keep back five blocks, spread over the time that is known.

    Args:
        known: bool[T], bins with behaviour.
        part: of the known bins that is kept back, in all.
        bin_width_s: seconds.

    Returns:
        bool[T] of bins to learn from (none within a second of a block), and bool[T] of the blocks.
    """
    rows = np.flatnonzero(known)
    length = max(1, round(len(rows) * part / N_BLOCKS))
    kept = np.zeros_like(known)
    near = np.zeros_like(known)
    margin = round(MARGIN_S / bin_width_s)
    for chunk in np.array_split(rows, N_BLOCKS):
        middle = len(chunk) // 2
        block = chunk[max(0, middle - length // 2) :][:length]
        kept[block] = True
        near[max(0, block[0] - margin) : block[-1] + margin + 1] = True
    return known & ~near, kept


class WindowSampler:
    """Draws windows at random from all recordings, each bin as likely as the next.

    Args:
        recordings: at least one is longer than a window; shorter ones are left out.
        window_bins: W.
        warmup_bins: first bins of a window that are not scored: what came before them is not in it.
        seed: of the draws.
    """

    def __init__(
        self, recordings: Sequence[Recording], window_bins: int, warmup_bins: int, seed: int
    ) -> None:
        self._recordings = [r for r in recordings if r.counts.shape[1] > window_bins]
        starts = np.array([r.counts.shape[1] - window_bins for r in self._recordings])
        self._ends = np.cumsum(starts)
        self._window_bins, self._warmup_bins = window_bins, warmup_bins
        self._rng = np.random.default_rng(seed)

    @property
    def n_windows(self) -> int:
        """How many different windows there are to draw, each as likely as the next."""
        return int(self._ends[-1])

    def reseed(self, seed: int) -> None:
        """Draw from here on as a sampler of this seed would from its start."""
        self._rng = np.random.default_rng(seed)

    def state(self) -> dict[str, Any]:
        """What the next draw depends on, as JSON can hold it."""
        return dict(self._rng.bit_generator.state)

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._rng.bit_generator.state = dict(state)

    def draw(self, n: int) -> Batch:
        """N windows."""
        counts, targets, weight, sessions = [], [], [], []
        for drawn in self._rng.integers(0, self._ends[-1], n):
            which = int(np.searchsorted(self._ends, drawn, side="right"))
            recording = self._recordings[which]
            first = int(drawn - (self._ends[which - 1] if which else 0))
            bins = slice(first, first + self._window_bins)
            counts.append(recording.counts[:, bins])
            targets.append(recording.targets[:, bins])
            weight.append(recording.learnt[bins])
            sessions.append(recording.session)
        stacked = torch.stack(weight).unsqueeze(1)
        stacked[..., : self._warmup_bins] = 0.0
        return Batch(torch.stack(counts), torch.stack(targets), stacked, sessions)
