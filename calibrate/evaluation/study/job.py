"""Run one job of the study: from its session files to its row and its trace."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.calibrate.data.metrics import firing_fraction, nullable, pcc, r2, sample_counts
from rtdecode.calibrate.data.splits import is_labelled
from rtdecode.calibrate.evaluation.study.learners import Fitted, fit
from rtdecode.calibrate.evaluation.study.plan import Job
from rtdecode.calibrate.evaluation.study.rows import DECODING, Row

#: Length of a trace, s of test bins.
TRACE_S = 60.0


@dataclass(frozen=True, eq=False)
class Finished:
    """A finished job.

    Attributes:
        row: an entry of results.json; the cache fills in its `job` and `trace`.
        trace: an .npz of the first test bins: `t_s`, `values`, `targets`.
    """

    row: Row
    trace: bytes


def do_job(job: Job) -> Finished:
    """Fit a model, decode or simulate the test day, and score it.

    The same job gives the same scores on one machine; times are measured.

    Raises:
        RtdecodeError: as `fit`.
    """
    fitted = fit(job)
    data, day = fitted.data, fitted.data.test
    decoding = job.direction == DECODING
    test = data.test_bins
    values = fitted.values[test].astype(np.float64)
    recorded: NDArray[Any]
    counted: NDArray[np.bool_] | None
    if decoding:
        names, recorded, counted = list(job.outputs), day.recorded.targets[test], None
    else:
        names = [str(channel) for channel in range(day.counts.shape[1])]
        recorded, counted = day.counts[test], day.good
    targets = recorded.astype(np.float64)
    minutes = sum(each.train_bins.sum() for each in data.days) * data.bin_width_s / 60.0
    row: Row = {
        "kind": job.kind,
        "causal": job.causality == "causal",
        "form": job.causality,
        "base": fitted.model,
        "protocol": job.protocol,
        "split": job.split,
        "train": [each.name for each in data.days if each.train_bins.any()],
        "test": [day.name],
        "minutes": float(minutes),
        "seed": job.seed,
        "direction": job.direction,
        "outputs": names,
        **_scores(values, targets, counted),  # type: ignore[typeddict-item]
        **_firing(fitted, job),
        "parameters": fitted.cost.parameters,
        "footprint_bytes": fitted.footprint_bytes,
        "dense_macs": fitted.cost.dense_macs,
        "effective_acs": fitted.cost.effective_acs,
        "sparsity": fitted.cost.sparsity,
        "decode_us": fitted.decode_us,
        "train_seconds": fitted.train_seconds,
        "bin_width_s": data.bin_width_s,
        "job": "",
        "trace": None,
    }
    return Finished(row, _trace(fitted, recorded))


def _scores(
    values: NDArray[np.float64], targets: NDArray[np.float64], counted: NDArray[np.bool_] | None
) -> dict[str, Any]:
    """R² and PCC of each output (equations 18 and 19); NaN for channels without spikes."""
    each_r2, each_pcc = r2(values, targets), pcc(values, targets)
    labelled, known = is_labelled(targets), np.isfinite(targets).any(axis=0)
    values, targets = (np.ascontiguousarray(each[labelled][:, known]) for each in (values, targets))
    if counted is not None:
        each_r2, each_pcc = (np.where(counted, score, np.nan) for score in (each_r2, each_pcc))
        values, targets = values[:, counted], targets[:, counted]
    variance = np.nanvar(targets, axis=0)
    error = np.nanmean((targets - values) ** 2, axis=0)
    weighted = 1.0 - error.sum() / variance.sum() if variance.sum() else np.nan
    # Outputs of behaviour differ in units: they are pooled in SDs, spikes as counts.
    scale = np.where(variance > 0, np.sqrt(variance), 1.0) if counted is None else np.ones_like(variance)
    mean = np.nanmean(targets, axis=0) if counted is None else np.zeros_like(variance)
    pooled = pcc(((values - mean) / scale).reshape(-1, 1), ((targets - mean) / scale).reshape(-1, 1))
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
    finite = scores[np.isfinite(scores)]
    return float(finite.mean()) if len(finite) else float("nan")


def _firing(fitted: Fitted, job: Job) -> dict[str, Any]:
    """Firing fractions (equation 20) and rates of recorded spikes and of draws from simulated rates."""
    if job.direction == DECODING:
        return {"firing": None, "rate_hz": None}
    data = fitted.data
    recorded, rates = data.test.counts[data.test_bins], fitted.values[data.test_bins]
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


def _trace(fitted: Fitted, recorded: NDArray[Any]) -> bytes:
    data = fitted.data
    rows = np.flatnonzero(data.test_bins)[: round(TRACE_S / data.bin_width_s)]
    binned = data.test.recorded.binned
    file = io.BytesIO()
    np.savez_compressed(
        file,
        t_s=binned.t_bin[rows] - binned.origin_s,
        values=fitted.values[rows].astype(np.float32),
        targets=recorded[: len(rows)].astype(np.float32),
    )
    return file.getvalue()
