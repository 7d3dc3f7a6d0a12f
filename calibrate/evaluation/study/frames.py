"""The study's rows as pandas frames: results.csv, one line a job, and summary.csv, their averages.

Averages are over the seeds (and bases) of a session first, then over sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rtdecode.calibrate.evaluation.study.rows import (
    DECODING,
    SINGLE_DAY,
    Column,
    PerChannel,
    Row,
    causalities_of,
    channel_correlation,
    firing_pair,
    main_split,
    name_of,
    names_of,
    session_of,
)

#: Scores over all outputs.
OVERALL = ("r2_mean", "r2_weighted", "pcc_mean", "pcc_pooled")

#: What a model costs, by the names of `Row`.
COSTS = (
    "parameters", "footprint_bytes", "dense_macs", "effective_acs", "sparsity", "decode_us", "train_seconds",
)  # fmt: skip

#: Index of an average; "split" is "" across days.
INDEX = ["form", "name", "protocol", "split", "direction", "score"]

SUMMARY = (
    "kind", "form", "pretrained", "protocol", "split", "direction",
    "score", "mean", "sd_sessions", "sessions", "sd_seeds", "seeds",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class StudyFrames:
    """A study's rows and their averages.

    Attributes:
        rows: of the finished jobs.
        jobs: a line for each: the columns of results.csv, and `name`, `session`, `pretrained`, `condition`.
        sessions: by INDEX and session, the mean over seeds, the number of seeds, and the sum of their squared
            deviations.
        averages: by INDEX, the columns of summary.csv; rows without the score do not count.
    """

    rows: Sequence[Row]
    jobs: pd.DataFrame
    sessions: pd.DataFrame
    averages: pd.DataFrame

    def key(self, column: Column, causality: str, name: str) -> tuple[str, ...]:
        """Index of the average in a cell of Table 1."""
        split = main_split(self.rows) if column.protocol == SINGLE_DAY else ""
        return causality, name, column.protocol, split, column.direction, column.score

    def results_csv(self) -> str:
        """One line a job: its conditions, scores (`r2_x`, `pcc_x` … of behaviour) and costs.

        Of spikes there are means over channels only. A missing number is an empty cell; numbers have all
        their digits.
        """
        columns = [
            name for name in self.jobs.columns if name not in ("name", "session", "pretrained", "condition")
        ]
        return _csv(self.jobs[columns])

    def summary_csv(self) -> str:
        """Averages, one line for each kind, causality, protocol, split, direction and score or cost.

        `sd_sessions` is over the sessions' means, `sd_seeds` over seeds within sessions.
        """
        return _csv(self.averages.reset_index()[list(SUMMARY)])


def study_frames(rows: Sequence[Row]) -> StudyFrames:
    """The rows as frames."""
    outputs = list(
        dict.fromkeys(name for row in rows if row["direction"] == DECODING for name in row["outputs"])
    )
    scores = [*(output_score(score, name) for score in ("r2", "pcc") for name in outputs), *OVERALL]
    jobs = pd.DataFrame([_line(row) for row in rows])
    if not rows:
        return StudyFrames(rows, jobs, jobs, pd.DataFrame(columns=[*SUMMARY, "name"]).set_index(INDEX))
    extra = ["name", "session", "pretrained"]
    before = list(jobs.columns[: jobs.columns.get_loc("n_outputs") + 1])
    after = [name for name in jobs.columns if name not in {*before, *scores, *extra}]
    jobs = jobs.reindex(columns=[*before, *scores, *after, *extra])
    numbers = [*scores, *COSTS, "minutes", "bin_width_s"]
    jobs[numbers] = jobs[numbers].astype(float).replace([np.inf, -np.inf], np.nan)
    jobs["condition"] = jobs.groupby(["protocol", "split", "direction"], sort=False).ngroup()
    sessions = _session_means(jobs, rows, [*scores, *COSTS])
    return StudyFrames(rows, jobs, sessions, _averages(sessions))


def output_score(score: str, output: str) -> str:
    """Column of an output's score, distinct from those of OVERALL."""
    name = f"{score}_{output}"
    return f"{score}_output_{output}" if name in OVERALL else name


def _line(row: Row) -> dict[str, object]:
    scores = {
        output_score(score, output): value
        for score, values in (("r2", row["r2"]), ("pcc", row["pcc"]))
        for output, value in zip(row["outputs"], values, strict=True)
        if row["direction"] == DECODING
    }
    firing, rate = _means(row["firing"]), _means(row["rate_hz"])
    correlation = np.nan if row["firing"] is None else channel_correlation(*firing_pair(row["firing"]))
    return {
        "job": row["job"],
        "kind": row["kind"],
        "form": row["form"],
        "causal": row["causal"],
        "base": row["base"],
        "protocol": row["protocol"],
        "split": row["split"] or "",
        "train": " ".join(row["train"]),
        "test": " ".join(row["test"]),
        "minutes": row["minutes"],
        "seed": row["seed"],
        "direction": row["direction"],
        "n_outputs": len(row["outputs"]),
        **scores,
        **{name: row[name] for name in OVERALL},  # type: ignore[literal-required]
        "firing_recorded": firing[0],
        "firing_simulated": firing[1],
        "firing_pcc": correlation,
        "rate_recorded_hz": rate[0],
        "rate_simulated_hz": rate[1],
        **{name: row[name] for name in COSTS},  # type: ignore[literal-required]
        "bin_width_s": row["bin_width_s"],
        "trace": row["trace"],
        "name": name_of(row),
        "session": session_of(row),
        "pretrained": row["base"] is not None,
    }


def _means(values: PerChannel | None) -> tuple[float, float]:
    if values is None:
        return np.nan, np.nan
    recorded, simulated = firing_pair(values)
    return (float(recorded.mean()), float(simulated.mean())) if len(recorded) else (np.nan, np.nan)


def _session_means(jobs: pd.DataFrame, rows: Sequence[Row], scores: Sequence[str]) -> pd.DataFrame:
    """Mean of each score over the seeds of a session; averages keep the order of the tables."""
    keys = ["form", "name", "condition", "score"]
    rest = ["kind", "pretrained", "protocol", "split", "direction", "session"]
    long = jobs.melt([*keys[:-1], *rest], scores, "score").dropna(subset="value")
    for key, values in zip(keys, (causalities_of(rows), names_of(rows), None, scores), strict=True):
        if values is not None:
            long[key] = pd.Categorical(long[key], values)
    values = long.groupby([*keys, *rest], sort=False, observed=True)["value"]
    # NumPy's sums: those of pandas round otherwise.
    return values.agg(mean=_mean, squares=_squares, seeds="size")


def _averages(sessions: pd.DataFrame) -> pd.DataFrame:
    keys = [name for name in sessions.index.names if name != "session"]
    averages = sessions.groupby(keys, sort=False, observed=True).agg(
        mean=("mean", _mean),
        sd_sessions=("mean", _sd),
        sessions=("mean", "size"),
        squares=("squares", lambda values: sum(values.tolist())),
        n=("seeds", "sum"),
        seeds=("seeds", "max"),
    )
    repeats = averages["n"] - averages["sessions"]
    averages["sd_seeds"] = np.sqrt(averages["squares"] / repeats.where(repeats > 0))
    averages = averages.sort_index().reset_index()
    averages[["form", "name", "score"]] = averages[["form", "name", "score"]].astype(str)
    return averages.set_index(INDEX)


def _mean(values: pd.Series) -> float:
    return float(np.mean(values.to_numpy()))


def _squares(values: pd.Series) -> float:
    return float(((values.to_numpy() - _mean(values)) ** 2).sum())


def _sd(values: pd.Series) -> float:
    return float(values.to_numpy().std(ddof=1)) if len(values) > 1 else np.nan


def _csv(frame: pd.DataFrame) -> str:
    return str(frame.to_csv(index=False, lineterminator="\n")) if len(frame.columns) else "\n"
