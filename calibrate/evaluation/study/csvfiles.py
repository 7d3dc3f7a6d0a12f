"""The study's numbers for a spreadsheet: a row for each job, and the averages."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from rtdecode.calibrate.evaluation.study.rows import (
    WHOLE,
    PerChannel,
    Row,
    Value,
    average,
    channel_correlation,
    costs_of,
    finite,
    firing_pair,
    forms_of,
    names_of,
    output_score,
    outputs_of,
    pick,
    scores_of,
)

#: Between the names of sessions in one cell.
BETWEEN = " "


def results_csv(rows: Sequence[Row]) -> str:
    """One line for each job: what it was, its scores (`r2_x`, `pcc_x` … for behaviour), and its costs.

    Of the spikes there are means over channels only. A cell without a number is empty; numbers have all
    their digits.
    """
    own = [output_score(score, output) for score in ("r2", "pcc") for output in outputs_of(rows)]
    lines: list[dict[str, object]] = []
    for row in rows:
        scores = scores_of(row)
        firing, rate = _two_means(row["firing"]), _two_means(row["rate_hz"])
        lines.append(
            {
                "job": row["job"],
                "kind": row["kind"],
                "form": row["form"],
                "causal": row["causal"],
                "base": row["base"],
                "protocol": row["protocol"],
                "split": row["split"],
                "train": BETWEEN.join(row["train"]),
                "test": BETWEEN.join(row["test"]),
                "minutes": finite(row["minutes"]),
                "seed": row["seed"],
                "direction": row["direction"],
                "n_outputs": len(row["outputs"]),
                **{name: scores.get(name) for name in (*own, *WHOLE)},
                "firing_recorded": firing[0],
                "firing_simulated": firing[1],
                "firing_pcc": _correlation(row["firing"]),
                "rate_recorded_hz": rate[0],
                "rate_simulated_hz": rate[1],
                **costs_of(row),
                "bin_width_s": finite(row["bin_width_s"]),
                "trace": row["trace"],
            }
        )
    return _written(lines, list(lines[0]) if lines else [])


def summary_csv(rows: Sequence[Row]) -> str:
    """Averages, one line for each kind, form, protocol, split, direction and score or cost.

    The SD over sessions is of their means over seeds; `sd_seeds` is over seeds within sessions.
    """
    lines = []
    conditions = dict.fromkeys((row["protocol"], row["split"], row["direction"]) for row in rows)
    for form in forms_of(rows):
        for name in names_of(pick(rows, form=form)):
            for protocol, split, direction in conditions:
                chosen = [
                    row
                    for row in pick(rows, form=form, name=name, protocol=protocol, direction=direction)
                    if row["split"] == split
                ]
                lines += [
                    {
                        "kind": chosen[0]["kind"],
                        "form": form,
                        "pretrained": chosen[0]["base"] is not None,
                        "protocol": protocol,
                        "split": split,
                        "direction": direction,
                        **line,
                    }
                    for line in _averages(chosen)
                ]
    return _written(lines, SUMMARY_HEADINGS)


def _averages(rows: Sequence[Row]) -> list[dict[str, object]]:
    numbers = [scores_of(row) | costs_of(row) for row in rows]
    lines: list[dict[str, object]] = []
    for score in dict.fromkeys(name for each in numbers for name in each):
        values = {id(row): each.get(score) for row, each in zip(rows, numbers, strict=True)}
        found = average(rows, _looked_up(values))
        if found.sessions:
            lines.append(
                {
                    "score": score,
                    "mean": found.mean,
                    "sd_sessions": finite(found.sd),
                    "sessions": len(found.sessions),
                    "sd_seeds": finite(found.sd_seeds),
                    "seeds": found.seeds,
                }
            )
    return lines


def _looked_up(values: Mapping[int, float | None]) -> Value:
    return lambda row: values[id(row)]


def _two_means(values: PerChannel | None) -> tuple[float | None, float | None]:
    if values is None:
        return None, None
    recorded, simulated = firing_pair(values)
    return (float(recorded.mean()), float(simulated.mean())) if len(recorded) else (None, None)


def _correlation(values: PerChannel | None) -> float | None:
    """Pearson's correlation over channels (equation 19 of the paper, of the numbers of equation 20)."""
    if values is None:
        return None
    return finite(channel_correlation(*firing_pair(values)))


def _written(lines: Iterable[dict[str, object]], headings: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, headings, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


SUMMARY_HEADINGS = (
    "kind", "form", "pretrained", "protocol", "split", "direction",
    "score", "mean", "sd_sessions", "sessions", "sd_seeds", "seeds",
)  # fmt: skip
