"""Finished jobs of the paper's study as rows, and their averages over sessions and seeds.

A row is one network or filter, trained once and scored on one held-out session, in one direction: an
entry of results.json. Averages are formed the same way everywhere: seeds of a session first, then sessions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

#: The kinds in the order of the paper's table, the Kalman filter beside the Wiener filter.
KINDS = ("wiener", "kalman", "gru", "mlp", "resnet", "resnet-unet", "alignnet")

#: What each of the forms is called.
FORMS = MappingProxyType({"causal": "causal", "offline": "offline", "offline-2d": "offline, 2-D"})

DECODING, SIMULATION = "spikes to behaviour", "behaviour to spikes"
SINGLE_DAY, CROSS_DAY = "single-day", "cross-day"

#: Scores that are no output's own.
WHOLE = ("r2_mean", "r2_weighted", "pcc_mean", "pcc_pooled")


class PerChannel(TypedDict):
    """One number for each channel, of the recorded and of the simulated spikes."""

    recorded: list[float | None]
    simulated: list[float | None]


class Row(TypedDict):
    """One finished job; None where there is no number.

    Attributes:
        kind: one of KINDS.
        causal: whether a bin's value is made of that bin and earlier ones only.
        form: one of FORMS.
        base: id of the pretrained model that was scored as it is (zero-shot); None for one trained here.
        protocol: SINGLE_DAY or CROSS_DAY.
        split: "chronological" or "random", of a single day; None otherwise.
        train, test: names of sessions.
        minutes: of labels trained on.
        seed: of the training.
        direction: DECODING or SIMULATION.
        outputs: D names: of behaviour, or the channels' numbers.
        r2, pcc: D scores each, equations 18 and 19 of the paper.
        r2_mean, r2_weighted: over outputs: uniform mean, and weighted by the outputs' variances.
        pcc_mean, pcc_pooled: uniform mean over outputs, and of all outputs and bins as one.
        firing: part of the bins with a spike, equation 20; of SIMULATION only.
        rate_hz: spikes per second; of SIMULATION only.
        parameters, footprint_bytes: how many numbers there are, and the bytes that they take.
        dense_macs, effective_acs: multiplications per bin if nothing is left out; additions per bin that
            spikes cause.
        sparsity: part of the neurons' bins without a spike.
        decode_us, train_seconds: time per bin, and of the training.
        bin_width_s: seconds.
        job: its id.
        trace: path of the first held-out bins, relative to the study's folder.
    """

    kind: str
    causal: bool
    form: str
    base: str | None
    protocol: str
    split: str | None
    train: list[str]
    test: list[str]
    minutes: float
    seed: int
    direction: str
    outputs: list[str]
    r2: list[float | None]
    pcc: list[float | None]
    r2_mean: float | None
    r2_weighted: float | None
    pcc_mean: float | None
    pcc_pooled: float | None
    firing: PerChannel | None
    rate_hz: PerChannel | None
    parameters: int
    footprint_bytes: int
    dense_macs: float
    effective_acs: float | None
    sparsity: float | None
    decode_us: float
    train_seconds: float
    bin_width_s: float
    job: str
    trace: str | None


Value = Callable[[Row], float | None]


@dataclass(frozen=True)
class Column:
    """One of the four columns of the paper's Table 1.

    Attributes:
        title: for headings.
        protocol, direction, score: which rows it is of, and which of their scores.
    """

    title: str
    protocol: str
    direction: str
    score: str


#: Decoding is scored by R² (equation 18), simulation by PCC (equation 19), as in the paper.
COLUMNS = (
    Column("single-day R²", SINGLE_DAY, DECODING, "r2_mean"),
    Column("single-day PCC", SINGLE_DAY, SIMULATION, "pcc_mean"),
    Column("cross-day R²", CROSS_DAY, DECODING, "r2_mean"),
    Column("cross-day PCC", CROSS_DAY, SIMULATION, "pcc_mean"),
)


@dataclass(frozen=True)
class Average:
    """A score over sessions.

    Attributes:
        mean: over sessions, of each session's mean over seeds; NaN without any score.
        sd: over sessions, of the same means; NaN for fewer than two.
        sd_seeds: over seeds, within sessions: the root of their pooled variance; NaN without a second seed.
        seeds: most seeds of a session.
        sessions: each session's mean, by name.
    """

    mean: float
    sd: float
    sd_seeds: float
    seeds: int
    sessions: dict[str, float] = field(default_factory=dict)


def average(rows: Iterable[Row], value: Value) -> Average:
    """Mean and SD of a value over sessions, seeds (and bases) of a session averaged first.

    Rows without the value do not count.
    """
    found: dict[str, list[float]] = {}
    for row in rows:
        score = finite(value(row))
        if score is not None:
            found.setdefault(session_of(row), []).append(score)
    if not found:
        return Average(math.nan, math.nan, math.nan, 0)
    each = {name: float(np.mean(scores)) for name, scores in found.items()}
    means = np.array(list(each.values()))
    repeats = sum(len(scores) - 1 for scores in found.values())
    spread = sum(float(((np.array(s) - each[name]) ** 2).sum()) for name, s in found.items())
    return Average(
        mean=float(means.mean()),
        sd=float(means.std(ddof=1)) if len(means) > 1 else math.nan,
        sd_seeds=math.sqrt(spread / repeats) if repeats else math.nan,
        seeds=max(len(scores) for scores in found.values()),
        sessions=each,
    )


def finite(value: float | None) -> float | None:
    """The value; None for NaN and infinities too."""
    return float(value) if value is not None and math.isfinite(value) else None


def session_of(row: Row) -> str:
    """The session that a row is scored on."""
    return " + ".join(row["test"])


def name_of(row: Row) -> str:
    """The kind, and whether it is a pretrained model, which learnt from other days than the protocol's."""
    return row["kind"] if row["base"] is None else f"{row['kind']}, pretrained"


def names_of(rows: Iterable[Row]) -> list[str]:
    """Names of all kinds, in the order of KINDS, a pretrained one after its own."""

    def place(row: Row) -> tuple[int, str, bool]:
        known = KINDS.index(row["kind"]) if row["kind"] in KINDS else len(KINDS)
        return known, row["kind"], row["base"] is not None

    return list(dict.fromkeys(name_of(row) for row in sorted(rows, key=place)))


def forms_of(rows: Iterable[Row]) -> list[str]:
    """Forms that there are rows of, in the order of FORMS."""
    there = {row["form"] for row in rows}
    return [form for form in FORMS if form in there] + sorted(there - set(FORMS))


def sessions_of(rows: Iterable[Row]) -> list[str]:
    """Sessions that were scored, sorted."""
    return sorted({session_of(row) for row in rows})


def protocols_of(rows: Sequence[Row]) -> list[str]:
    """Which protocols the study has, in the paper's order."""
    return [protocol for protocol in (SINGLE_DAY, CROSS_DAY) if pick(rows, protocol=protocol)]


def columns_of(rows: Sequence[Row]) -> list[Column]:
    """Those of Table 1's columns that the study has anything for."""
    return [column for column in COLUMNS if pick(rows, protocol=column.protocol, direction=column.direction)]


def main_split(rows: Iterable[Row]) -> str:
    """The split of a single day that the headline table is of: the chronological one if there is any."""
    splits = {row["split"] for row in rows if row["protocol"] == SINGLE_DAY}
    return "random" if splits == {"random"} else "chronological"


def pick(
    rows: Iterable[Row],
    *,
    protocol: str | None = None,
    direction: str | None = None,
    split: str | None = None,
    form: str | None = None,
    name: str | None = None,
) -> list[Row]:
    """Rows of a protocol, a direction, a form and a name; `split` is asked of single days only."""
    return [
        row
        for row in rows
        if (protocol is None or row["protocol"] == protocol)
        and (direction is None or row["direction"] == direction)
        and (split is None or row["protocol"] != SINGLE_DAY or row["split"] == split)
        and (form is None or row["form"] == form)
        and (name is None or name_of(row) == name)
    ]


def column_average(rows: Iterable[Row], column: Column, split: str, form: str, name: str) -> Average:
    """The average in one cell of Table 1."""
    chosen = pick(
        rows, protocol=column.protocol, direction=column.direction, split=split, form=form, name=name
    )
    return average(chosen, lambda row: scores_of(row)[column.score])


def scores_of(row: Row) -> dict[str, float | None]:
    """Every score of a row by its name: `r2_x`, `pcc_x` … per output of behaviour, then the whole's.

    Channels have no scores of their own here: there are many, and their numbers mean nothing across arrays.
    """
    scores: dict[str, float | None] = {}
    if row["direction"] == DECODING:
        for score, values in (("r2", row["r2"]), ("pcc", row["pcc"])):
            for output, value in zip(row["outputs"], values, strict=True):
                scores[output_score(score, output)] = finite(value)
    return scores | {
        "r2_mean": finite(row["r2_mean"]),
        "r2_weighted": finite(row["r2_weighted"]),
        "pcc_mean": finite(row["pcc_mean"]),
        "pcc_pooled": finite(row["pcc_pooled"]),
    }


def costs_of(row: Row) -> dict[str, float | None]:
    """What a row's network or filter costs, by the names that rows have for it."""
    return {
        "parameters": finite(row["parameters"]),
        "footprint_bytes": finite(row["footprint_bytes"]),
        "dense_macs": finite(row["dense_macs"]),
        "effective_acs": finite(row["effective_acs"]),
        "sparsity": finite(row["sparsity"]),
        "decode_us": finite(row["decode_us"]),
        "train_seconds": finite(row["train_seconds"]),
    }


def output_score(score: str, output: str) -> str:
    """The name of an output's score, distinct from that of a score over outputs."""
    name = f"{score}_{output}"
    return f"{score}_output_{output}" if name in WHOLE else name


def outputs_of(rows: Iterable[Row]) -> list[str]:
    """Outputs of behaviour of all rows, in order of appearance."""
    return list(
        dict.fromkeys(output for row in rows if row["direction"] == DECODING for output in row["outputs"])
    )


def firing_pair(values: PerChannel) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Recorded and simulated numbers f8[C] of the channels that have both."""
    both = np.array([values["recorded"], values["simulated"]], dtype=np.float64)
    known = np.isfinite(both).all(axis=0)
    return both[0, known], both[1, known]


def channel_correlation(recorded: NDArray[np.float64], simulated: NDArray[np.float64]) -> float:
    """Equation 19 of the paper over channels f8[C]; NaN where either does not vary, or for fewer than two."""
    if len(recorded) < 2 or not (np.ptp(recorded) > 0 and np.ptp(simulated) > 0):
        return math.nan
    return float(np.corrcoef(recorded, simulated)[0, 1])


def number_of(value: float, digits: int = 3) -> str:
    """A figure for a table; a dash where there is none."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def listed(names: Sequence[str], last: str = "and") -> str:
    """a, b and c."""
    return f" {last} ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
