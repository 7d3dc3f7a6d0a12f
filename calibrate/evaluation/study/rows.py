"""Finished jobs of the study as rows: entries of results.json.

A row is one network or filter, trained once and scored on one test session, in one direction.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from rtdecode.calibrate.training.settings import DECODE, SIMULATE

#: The kinds in the order of the paper's table, the Kalman filter beside the Wiener filter.
KINDS = ("wiener", "kalman", "gru", "mlp", "resnet", "resnet-unet", "alignnet")

#: Printed name of each causality.
CAUSALITIES = MappingProxyType({"causal": "causal", "offline": "offline", "offline-2d": "offline, 2-D"})

DECODING, SIMULATION = "spikes to behaviour", "behaviour to spikes"

#: The rows' names of what `--direction` and the settings of a training call by these.
DIRECTIONS = MappingProxyType({DECODE: DECODING, SIMULATE: SIMULATION})

SINGLE_DAY, CROSS_DAY = "single-day", "cross-day"


class PerChannel(TypedDict):
    """One number for each channel, of the recorded and of the simulated spikes."""

    recorded: list[float | None]
    simulated: list[float | None]


class Row(TypedDict):
    """One finished job; None where a number is missing.

    Attributes:
        kind: one of KINDS.
        causal: whether the value of a bin depends on that bin and earlier ones only.
        form: causality, one of CAUSALITIES.
        base: id of a pretrained model that was scored zero-shot; None for one trained here.
        protocol: SINGLE_DAY or CROSS_DAY.
        split: "chronological" or "random", of a single day; None otherwise.
        train, test: names of sessions.
        minutes: of labels trained on.
        seed: random seed of the training.
        direction: DECODING or SIMULATION.
        outputs: D names: of behaviour, or the channels' numbers.
        r2, pcc: D scores each, equations 18 and 19 of the paper.
        r2_mean, r2_weighted: over outputs: uniform mean, and weighted by the outputs' variances.
        pcc_mean, pcc_pooled: uniform mean over outputs, and of all outputs and bins in one correlation.
        firing: fraction of bins with a spike, equation 20; of SIMULATION only.
        rate_hz: spikes per second; of SIMULATION only.
        parameters, footprint_bytes: number of parameters, and their size.
        dense_macs, effective_acs: multiplications per bin if none is skipped; additions per bin that spikes
            cause.
        sparsity: fraction of the neurons' bins without a spike.
        decode_us, train_seconds: time per bin, and of the training.
        bin_width_s: seconds.
        job: its id.
        trace: path of the first test bins, relative to the study's folder.
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


@dataclass(frozen=True)
class Column:
    """One of the four columns of the paper's Table 1.

    Attributes:
        title: for headings.
        protocol, direction, score: of the rows that it averages, and which of their scores.
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


def session_of(row: Row) -> str:
    """The session that a row is scored on."""
    return " + ".join(row["test"])


def name_of(row: Row) -> str:
    """The kind; marked if pretrained, which means trained on other days than the protocol's."""
    return row["kind"] if row["base"] is None else f"{row['kind']}, pretrained"


def names_of(rows: Iterable[Row]) -> list[str]:
    """Names of all kinds, in the order of KINDS, a pretrained one after its own."""

    def rank(row: Row) -> tuple[int, str, bool]:
        place = KINDS.index(row["kind"]) if row["kind"] in KINDS else len(KINDS)
        return place, row["kind"], row["base"] is not None

    return list(dict.fromkeys(name_of(row) for row in sorted(rows, key=rank)))


def causalities_of(rows: Iterable[Row]) -> list[str]:
    """Causalities of the rows, in the order of CAUSALITIES."""
    present = {row["form"] for row in rows}
    return [each for each in CAUSALITIES if each in present] + sorted(present - set(CAUSALITIES))


def protocols_of(rows: Sequence[Row]) -> list[str]:
    """Protocols of the rows, in the paper's order."""
    return [protocol for protocol in (SINGLE_DAY, CROSS_DAY) if pick(rows, protocol=protocol)]


def columns_of(rows: Sequence[Row]) -> list[Column]:
    """Columns of Table 1 that have rows."""
    return [column for column in COLUMNS if pick(rows, protocol=column.protocol, direction=column.direction)]


def main_split(rows: Iterable[Row]) -> str:
    """The split of a single day that Table 1 shows: the chronological one if there are rows of it."""
    splits = {row["split"] for row in rows if row["protocol"] == SINGLE_DAY}
    return "random" if splits == {"random"} else "chronological"


def pick(
    rows: Iterable[Row],
    *,
    protocol: str | None = None,
    direction: str | None = None,
    split: str | None = None,
    causality: str | None = None,
    name: str | None = None,
) -> list[Row]:
    """Rows with these values; None for any. `split` selects among the rows of single days only."""
    return [
        row
        for row in rows
        if (protocol is None or row["protocol"] == protocol)
        and (direction is None or row["direction"] == direction)
        and (split is None or row["protocol"] != SINGLE_DAY or row["split"] == split)
        and (causality is None or row["form"] == causality)
        and (name is None or name_of(row) == name)
    ]


def firing_pair(values: PerChannel) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Recorded and simulated numbers f8[C] of the channels that have both."""
    both = np.array([values["recorded"], values["simulated"]], dtype=np.float64)
    finite = np.isfinite(both).all(axis=0)
    return both[0, finite], both[1, finite]


def channel_correlation(recorded: NDArray[np.float64], simulated: NDArray[np.float64]) -> float:
    """Pearson's correlation over channels f8[C] (equation 19); NaN if one is constant, or for one channel."""
    if len(recorded) < 2 or not (np.ptp(recorded) > 0 and np.ptp(simulated) > 0):
        return math.nan
    return float(np.corrcoef(recorded, simulated)[0, 1])


def number_of(value: float, digits: int = 3) -> str:
    """A number for a table; a dash for NaN or infinity."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
