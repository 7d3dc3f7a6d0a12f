"""A simulated study: rows and traces as those of its jobs; and a job of a few-shot evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.calibrate.data.metrics import firing_fraction, nullable, pcc, r2
from rtdecode.calibrate.evaluation.fewshot.plan import FewShotJob
from rtdecode.calibrate.evaluation.study.rows import (
    CROSS_DAY,
    DECODING,
    SIMULATION,
    SINGLE_DAY,
    PerChannel,
    Row,
)

SESSIONS = ("indy_20160930_02", "indy_20161014_04", "indy_20161026_03", "indy_20161207_02")

#: Correlation of a kind's output with the targets.
SKILL = {"wiener": 0.6, "kalman": 0.65, "gru": 0.8, "mlp": 0.7, "resnet": 0.75, "resnet-unet": 0.78}

BIN_WIDTH_S = 0.02


def simulated_study(
    folder: Path,
    *,
    sessions: Sequence[str] = SESSIONS,
    seeds: Sequence[int] = (0, 1),
    kinds: Sequence[str] = (*SKILL, "alignnet"),
    n_channels: int = 24,
    n_bins: int = 1500,
) -> list[Row]:
    """Rows of all kinds, causalities, protocols and directions; traces of AlignNets in `folder`/jobs."""
    (folder / "jobs").mkdir(parents=True, exist_ok=True)
    causalities = {"alignnet": ("causal", "offline", "offline-2d"), "kalman": ("causal",)}
    rows = []
    for kind in kinds:
        for causality in causalities.get(kind, ("causal", "offline")):
            for place, session in enumerate(sessions):
                for seed in seeds:
                    todo = [(SINGLE_DAY, split, [session], None) for split in ("chronological", "random")]
                    if place >= 2:
                        days = list(sessions[place - 2 : place])
                        todo.append((CROSS_DAY, None, days, None))
                        if kind == "alignnet" and causality == "causal":
                            todo.append((CROSS_DAY, None, ["day_a", "day_b", "day_c"], f"abcd123{seed}"))
                    for protocol, split, train, base in todo:
                        for direction in (DECODING, SIMULATION):
                            job = f"{len(rows):08x}"
                            rows.append(
                                _job(
                                    folder, job, kind, causality, protocol, split, train, session, seed, base,
                                    direction, n_channels, n_bins,
                                )
                            )  # fmt: skip
    return rows


def _job(
    folder: Path, job: str, kind: str, causality: str, protocol: str, split: str | None, train: list[str],
    session: str, seed: int, base: str | None, direction: str, n_channels: int, n_bins: int,
) -> Row:  # fmt: skip
    # Recorded data depends on the session alone.
    day = np.random.default_rng([ord(letter) for letter in session])
    drawn = np.random.default_rng(int(job, 16))
    skill = SKILL.get(kind, 0.85) + (0.05 if causality != "causal" else 0.0) + 0.03 * drawn.standard_normal()
    skill -= 0.15 * (protocol == CROSS_DAY) - 0.1 * (base is not None) - 0.05 * (split == "random")
    t_s = 400.0 + BIN_WIDTH_S * np.arange(n_bins)
    behavior = _smooth(day, n_bins, 4)
    outputs = ["x", "y", "vx", "vy"]
    firing: PerChannel | None = None
    rate_hz: PerChannel | None = None
    targets = behavior
    values = skill * behavior + np.sqrt(1.0 - min(skill, 1.0) ** 2) * 0.6 * _smooth(drawn, n_bins, 4)
    if direction == SIMULATION:
        outputs = [str(channel) for channel in range(n_channels)]
        base_rate = day.gamma(1.2, 0.25, n_channels)
        rates = base_rate * np.exp(0.8 * behavior @ day.standard_normal((4, n_channels)))
        targets = day.poisson(np.minimum(rates, 8.0)).astype(np.float64)
        values = drawn.poisson(np.minimum(rates * skill + 0.02, 8.0)).astype(np.float64)
        recorded, simulated = (firing_fraction(each.astype(np.int64)) for each in (targets, values))
        firing = {"recorded": recorded.tolist(), "simulated": simulated.tolist()}
        rate_hz = {
            "recorded": (targets.mean(axis=0) / BIN_WIDTH_S).tolist(),
            "simulated": (values.mean(axis=0) / BIN_WIDTH_S).tolist(),
        }
    if split == "random":
        kept = np.sort(drawn.permutation(n_bins // 50)[: n_bins // 100])
        rows = (50 * kept[:, None] + np.arange(50)).ravel()
        t_s, values, targets = t_s[rows], values[rows], targets[rows]
    trace = f"jobs/{job}.npz" if kind == "alignnet" else None
    if trace is not None:
        np.savez(folder / trace, t_s=t_s, values=values.astype("f4"), targets=targets.astype("f4"))
    variance = targets.var(axis=0)
    each_r2, each_pcc = r2(values, targets), pcc(values, targets)
    spiking = kind == "alignnet"
    return {
        "kind": kind,
        "causal": causality == "causal",
        "form": causality,
        "base": base,
        "protocol": protocol,
        "split": split,
        "train": train,
        "test": [session],
        "minutes": 5.5 if protocol == SINGLE_DAY else 14.0,
        "seed": seed,
        "direction": direction,
        "outputs": outputs,
        "r2": nullable(each_r2),
        "pcc": nullable(each_pcc),
        "r2_mean": float(np.nanmean(each_r2)),
        "r2_weighted": float(np.nansum(each_r2 * variance) / variance.sum()),
        "pcc_mean": float(np.nanmean(each_pcc)),
        "pcc_pooled": float(np.corrcoef(values.ravel(), targets.ravel())[0, 1]),
        "firing": firing,
        "rate_hz": rate_hz,
        "parameters": 1000 * (1 + len(kind)),
        "footprint_bytes": 4000 * (1 + len(kind)),
        "dense_macs": 120_000.0 + 1000 * len(kind),
        "effective_acs": 9_000.0 + float(drawn.integers(100)) if spiking else None,
        "sparsity": 0.87 if spiking else None,
        "decode_us": 20.0 + float(drawn.random()),
        "train_seconds": 60.0 * float(drawn.random()) * (1 + (protocol == CROSS_DAY)),
        "bin_width_s": BIN_WIDTH_S,
        "job": job,
        "trace": trace,
    }


def _smooth(random: np.random.Generator, n_bins: int, n_columns: int) -> NDArray[np.float64]:
    """Noise of unit variance that changes over half a second."""
    width = 25
    noise = random.standard_normal((n_bins + width - 1, n_columns))
    window = np.hanning(width + 2)[1:-1]
    smooth = np.stack([np.convolve(column, window, "valid") for column in noise.T], axis=1)
    return np.asarray(smooth / smooth.std(axis=0))


def few_shot_job(**changes: Any) -> FewShotJob:
    """A job whose files need not exist."""
    asked: dict[str, Any] = {
        "kind": "alignnet", "test": Path("/data/today.h5"), "test_sha256": "aa", "session": "today",
        "base": Path("/models/base.safetensors"), "base_sha256": "bb", "model": "f6ffb59f",
        "train": ("day0", "day1"), "bin_width_s": 0.064, "outputs": ("x", "y"), "minutes": 2.0,
        "read_in_minutes": 4.0, "labelled": "last", "seed": 0, "steps": 200, "device": "auto",
    }  # fmt: skip
    return FewShotJob(**(asked | changes))
