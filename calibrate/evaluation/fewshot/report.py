"""Few-shot scores as a table and as a figure."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rtdecode.calibrate.evaluation.fewshot.plan import FewShotJob
from rtdecode.calibrate.evaluation.scores import Score
from rtdecode.files import replace_file
from rtdecode.kernels.arrays import F8

FewShotScore = Score[FewShotJob]

COLORS = {"alignnet": "#1b6ca8", "gru": "#d1495b", "wiener": "#6c757d"}


def cells(scores: Sequence[FewShotScore]) -> dict[tuple[str, float], list[FewShotScore]]:
    """Scores grouped by (kind, minutes), in order of appearance."""
    grouped: dict[tuple[str, float], list[FewShotScore]] = {}
    for score in scores:
        grouped.setdefault((score.job.kind, score.job.minutes), []).append(score)
    return grouped


def over_days(scores: Sequence[FewShotScore]) -> tuple[F8, float, float, int]:
    """Mean R² f8[D] over days, its mean over outputs, SD over days of the mean R², and number of days.

    Seeds and bases of one day are averaged first.
    """
    days: dict[str, list[F8]] = {}
    for score in scores:
        days.setdefault(score.job.session, []).append(score.r2)
    each = np.stack([np.mean(r2s, axis=0) for r2s in days.values()])
    sd = float(each.mean(axis=1).std(ddof=1)) if len(each) > 1 else float("nan")
    return each.mean(axis=0), float(each.mean()), sd, len(each)


def table_rows(scores: Sequence[FewShotScore]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: R² of each output, mean ± SD over days, mean correlation."""
    headings = ["kind", "minutes", *scores[0].job.outputs, "mean R²", "± SD", "PCC", "days"]
    rows = []
    for (kind, minutes), group in cells(scores).items():
        r2, mean, sd, n_days = over_days(group)
        pcc = float(np.mean([score.pcc for score in group]))
        numbers = [*r2, mean, sd, pcc]
        rows.append([kind, f"{minutes:g}", *(_number(value) for value in numbers), str(n_days)])
    return headings, rows


def draw(scores: Sequence[FewShotScore], path: Path) -> None:
    """R² against minutes of labels, one panel for each output and one for their mean, as PNG.

    Raises:
        RtdecodeError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [*scores[0].job.outputs, "mean"]
    figure = Figure(figsize=(3.0 * len(names), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    grouped = cells(scores)
    for panel, (axis, name) in enumerate(zip(axes, names, strict=True)):
        for kind in dict.fromkeys(kind for kind, _ in grouped):
            minutes = sorted(m for other, m in grouped if other == kind)
            means = [_panel(over_days(grouped[kind, m])[0], panel) for m in minutes]
            color = COLORS.get(kind, "black")
            axis.plot(minutes, means, "o-", color=color, label=kind, markersize=4)
            for score in scores:
                if score.job.kind == kind:
                    axis.plot(
                        score.job.minutes, _panel(score.r2, panel), ".", color=color, alpha=0.25, markersize=3
                    )
        axis.set_title(name)
        axis.set_xlabel("minutes of labels")
        axis.grid(alpha=0.3)
        axis.set_ylim(max(0.0, axis.get_ylim()[0]), 1.0)
    axes[0].set_ylabel("R², last fifth of the day")
    axes[-1].legend(frameon=False)
    image = io.BytesIO()
    figure.savefig(image, dpi=150, format="png")
    replace_file(path, image.getvalue())


def _panel(r2: F8, panel: int) -> float:
    return float(r2[panel] if panel < len(r2) else r2.mean())


def _number(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "–"
