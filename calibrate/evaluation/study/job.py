"""One job of the study, from its session files to its row and its trace."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.calibrate.data.metrics import firing_fraction, nullable, pcc, r2, sample_counts
from rtdecode.calibrate.evaluation.study.learners import Learnt, learn
from rtdecode.calibrate.evaluation.study.plan import Job
from rtdecode.calibrate.evaluation.study.rows import DECODING, Row

#: How much of the held-out bins a trace holds.
TRACE_S = 60.0


@dataclass(frozen=True, eq=False)
class Finished:
    """A finished job.

    Attributes:
        row: an entry of results.json, its `job` and `trace` still to be filled in.
        trace: an .npz of the first held-out bins: `t_s`, `values`, `targets`.
    """

    row: Row
    trace: bytes


def do_job(job: Job) -> Finished:
    """Learn, decode or simulate the test day, and score it.

    The same job gives the same scores on one machine; times are measured.

    Raises:
        RtdecodeError: as `learn`.
    """
    learnt = learn(job)
    data, day = learnt.data, learnt.data.test
    decoding = job.direction == DECODING
    held_out = data.held_out
    values = learnt.values[held_out].astype(np.float64)
    recorded: NDArray[Any]
    counted: NDArray[np.bool_] | None
    if decoding:
        names, recorded, counted = list(job.outputs), day.recorded.targets[held_out], None
    else:
        names = [str(channel) for channel in range(day.counts.shape[1])]
        recorded, counted = day.counts[held_out], day.good
    targets = recorded.astype(np.float64)
    minutes = sum(each.learnt.sum() for each in data.days) * data.bin_width_s / 60.0
    row: Row = {
        "kind": job.kind,
        "causal": job.form == "causal",
        "form": job.form,
        "base": learnt.model,
        "protocol": job.protocol,
        "split": job.split,
        "train": [each.name for each in data.days if each.learnt.any()],
        "test": [day.name],
        "minutes": float(minutes),
        "seed": job.seed,
        "direction": job.direction,
        "outputs": names,
        **_scores(values, targets, counted),  # type: ignore[typeddict-item]
        **_firing(learnt, job),
        "parameters": learnt.cost.parameters,
        "footprint_bytes": learnt.footprint_bytes,
        "dense_macs": learnt.cost.dense_macs,
        "effective_acs": learnt.cost.effective_acs,
        "sparsity": learnt.cost.sparsity,
        "decode_us": learnt.decode_us,
        "train_seconds": learnt.train_seconds,
        "bin_width_s": data.bin_width_s,
        "job": "",
        "trace": None,
    }
    return Finished(row, _trace(learnt, recorded))


def _scores(
    values: NDArray[np.float64], targets: NDArray[np.float64], counted: NDArray[np.bool_] | None
) -> dict[str, Any]:
    """Equations 18 and 19 for each output; channels that do not fire have no score."""
    known = np.isfinite(targets).all(axis=1)
    values, targets = values[known], targets[known]
    each_r2, each_pcc = r2(values, targets), pcc(values, targets)
    if counted is not None:
        each_r2, each_pcc = (np.where(counted, score, np.nan) for score in (each_r2, each_pcc))
        values, targets = values[:, counted], targets[:, counted]
    variance = targets.var(axis=0)
    missed = ((targets - values) ** 2).mean(axis=0)
    weighted = 1.0 - missed.sum() / variance.sum() if variance.sum() else np.nan
    # Behaviour has units of its own: it is pooled in SDs, spikes as they are.
    scale = np.where(variance > 0, np.sqrt(variance), 1.0) if counted is None else np.ones_like(variance)
    middle = targets.mean(axis=0) if counted is None else np.zeros_like(variance)
    pooled = pcc(((values - middle) / scale).reshape(-1, 1), ((targets - middle) / scale).reshape(-1, 1))
    r2_mean, pcc_mean, r2_weighted, pcc_pooled = nullable(
        [_mean(each_r2), _mean(each_pcc), float(weighted), float(pooled[0])]
    )
    return {
        "r2": nullable(each_r2),
        "pcc": nullable(each_pcc),
        "r2_mean": r2_mean,
        "r2_weighted": r2_weighted,
        "pcc_mean": pcc_mean,
        "pcc_pooled": pcc_pooled,
    }


def _mean(scores: NDArray[np.float64]) -> float:
    known = scores[np.isfinite(scores)]
    return float(known.mean()) if len(known) else float("nan")


def _firing(learnt: Learnt, job: Job) -> dict[str, Any]:
    """Equation 20 and mean rates, of the recorded spikes and of spikes drawn from the simulated rates."""
    if job.direction == DECODING:
        return {"firing": None, "rate_hz": None}
    data = learnt.data
    recorded, rates = data.test.counts[data.held_out], learnt.values[data.held_out]
    drawn = sample_counts(rates, job.seed, data.count_max)
    return {
        "firing": {
            "recorded": nullable(firing_fraction(recorded)),
            "simulated": nullable(firing_fraction(drawn)),
        },
        "rate_hz": {
            "recorded": nullable(recorded.mean(axis=0, dtype=np.float64) / data.bin_width_s),
            "simulated": nullable(rates.mean(axis=0, dtype=np.float64) / data.bin_width_s),
        },
    }


def _trace(learnt: Learnt, recorded: NDArray[Any]) -> bytes:
    data = learnt.data
    rows = np.flatnonzero(data.held_out)[: round(TRACE_S / data.bin_width_s)]
    binned = data.test.recorded.binned
    file = io.BytesIO()
    np.savez_compressed(
        file,
        t_s=binned.t_bin[rows] - binned.origin_s,
        values=learnt.values[rows].astype(np.float32),
        targets=recorded[: len(rows)].astype(np.float32),
    )
    return file.getvalue()
