"""What a fitted model scores: on the held-out end of its sessions, and beside it on the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.data.metrics import mean_scores, pcc, r2
from rtdecode.calibrate.data.split_session import SplitSession
from rtdecode.calibrate.decoding import decoded
from rtdecode.kernels.arrays import F8

#: Blocks of a session that are scored one by one.
N_BLOCKS = 5

#: A held-out mean R² that is this much below that of the training time is pointed out.
FALLS_BY = 0.3


@dataclass(frozen=True, eq=False)
class Scores:
    """R² and correlation of each output.

    Attributes:
        r2, pcc: f8[D], held out; NaN for an output that does not vary there.
        training_r2: f8[D], R² of the bins that were learnt from.
        blocks_r2: f8[5, D], R² of each fifth of the labelled bins, in order.
    """

    r2: F8
    pcc: F8
    training_r2: F8
    blocks_r2: F8

    def fall(self) -> str | None:
        """A sentence about a held-out score far below that of the training time, None otherwise."""
        held_out, before = _mean(self.r2), _mean(self.training_r2)
        if not held_out < before - FALLS_BY:
            return None
        blocks = ", ".join("–" if np.isnan(mean) else f"{mean:.2f}" for mean in map(_mean, self.blocks_r2))
        return (
            f"the held-out time is unlike the rest, or the model does not generalise: mean R² {held_out:.2f} "
            f"there and {before:.2f} in the time it was learnt from (by fifths of the session: {blocks})"
        )


def score(artifact: ModelArtifact, part: SplitSession) -> Scores:
    """Decode a session from its start and score it.

    Args:
        artifact: of the session's channels and outputs.
        part: the session, split.
    """
    values = decoded(artifact, part.inputs, part.starts)
    labelled = np.flatnonzero(part.training | part.test)
    test = values[part.test], part.targets[part.test]
    return Scores(
        r2=r2(*test),
        pcc=pcc(*test),
        training_r2=r2(values[part.training], part.targets[part.training]),
        blocks_r2=np.stack([r2(values[at], part.targets[at]) for at in np.array_split(labelled, N_BLOCKS)]),
    )


def mean_of(scores: Sequence[Scores]) -> Scores:
    """Means over sessions, over those in which an output has a score."""
    return Scores(
        r2=mean_scores([each.r2 for each in scores]),
        pcc=mean_scores([each.pcc for each in scores]),
        training_r2=mean_scores([each.training_r2 for each in scores]),
        blocks_r2=np.stack(
            [mean_scores([each.blocks_r2[block] for each in scores]) for block in range(N_BLOCKS)]
        ),
    )


def _mean(of_outputs: F8) -> float:
    known = of_outputs[np.isfinite(of_outputs)]
    return float(known.mean()) if len(known) else float("nan")
