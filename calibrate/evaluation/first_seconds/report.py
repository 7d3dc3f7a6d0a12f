"""First-seconds scores by day and model, beside a reference: as a table and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rtdecode.calibrate.data.metrics import nullable
from rtdecode.calibrate.evaluation.first_seconds.plan import FirstSecondsJob
from rtdecode.calibrate.evaluation.first_seconds.reference import SESSION, of_day
from rtdecode.calibrate.evaluation.scores import Score
from rtdecode.kernels.arrays import F8

FirstSecondsScore = Score[FirstSecondsJob]


def documents(scores: Sequence[FirstSecondsScore], reference: Mapping[str, F8]) -> list[dict[str, Any]]:
    """As `rtdecode evaluate --json` prints them; arguments as of `table_rows`."""
    known = [of_day(reference, score.job.session) for score in scores]
    return [
        score.as_json() | {"reference": None if r2 is None else nullable(r2)}
        for score, r2 in zip(scores, known, strict=True)
    ]


def by_model(scores: Sequence[FirstSecondsScore]) -> dict[str, dict[str, F8]]:
    """R² f8[D] by model and day; seeds and bases of one day are averaged first."""
    grouped: dict[str, dict[str, list[F8]]] = {}
    for score in scores:
        days = grouped.setdefault(score.job.model_name, {})
        days.setdefault(score.job.session, []).append(score.r2)
    return {
        model: {day: np.asarray(np.mean(r2s, axis=0)) for day, r2s in days.items()}
        for model, days in grouped.items()
    }


def table_rows(
    scores: Sequence[FirstSecondsScore], reference: Mapping[str, F8]
) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: mean R² over outputs of each day and model, their means, days ahead.

    Args:
        scores: of one day or more.
        reference: R² f8[D] by day; {} without.
    """
    models = by_model(scores)
    days = list(dict.fromkeys(score.job.session for score in scores))
    known = {day: float(r2.mean()) for day in days if (r2 := of_day(reference, day)) is not None}
    means = {model: {day: float(r2.mean()) for day, r2 in each.items()} for model, each in models.items()}
    columns = ({"reference": known} if reference else {}) | means
    rows = [[day, *(_number(column.get(day)) for column in columns.values())] for day in days]
    rows.append(["mean", *(_number(_mean(column)) for column in columns.values())])
    if reference:
        ahead = []
        for column in means.values():
            both = column.keys() & known.keys()
            ahead.append(f"{sum(column[day] > known[day] for day in both)} of {len(both)}")
        rows.append(["days ahead of the reference", "", *ahead])
    return ["day", *columns], rows


def scores_csv(scores: Sequence[FirstSecondsScore], reference: Mapping[str, F8]) -> str:
    """A line for each day and model: R² of each output, their mean, and the reference's mean if there is one.

    Arguments as of `table_rows`.
    """
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow([SESSION, "model", *scores[0].job.outputs, "mean", "reference"])
    for model, days in by_model(scores).items():
        for day, r2 in days.items():
            known = of_day(reference, day)
            numbers = (*r2, r2.mean(), np.nan if known is None else known.mean())
            lines.writerow([day, model, *(f"{value:.4f}" if np.isfinite(value) else "" for value in numbers)])
    return text.getvalue()


def _mean(column: Mapping[str, float]) -> float | None:
    return float(np.mean(list(column.values()))) if column else None


def _number(value: float | None) -> str:
    return "–" if value is None or not np.isfinite(value) else f"{value:.3f}"
