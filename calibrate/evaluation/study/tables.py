"""The study's tables: the paper's Table 1, each output by split, and what each kind costs.

for block in score_blocks(rows):
    print(block.title, table(block.headings, block.texts()), block.note, sep="\n")
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from rtdecode.calibrate.evaluation.study.rows import (
    CROSS_DAY,
    DECODING,
    FORMS,
    SIMULATION,
    SINGLE_DAY,
    Average,
    Row,
    average,
    column_average,
    columns_of,
    costs_of,
    forms_of,
    main_split,
    name_of,
    names_of,
    number_of,
    output_score,
    outputs_of,
    pick,
    protocols_of,
    scores_of,
)


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: what stands in it.
        sessions: how many sessions a mean is over; None where that is not told.
        sd_seeds, seeds: SD over the seeds of a session, and how many of them; NaN and 0 where there is none.
        best: whether it is the column's best.
    """

    text: str
    sessions: int | None = None
    sd_seeds: float = math.nan
    seeds: int = 0
    best: bool = False

    def __str__(self) -> str:
        sessions = "" if self.sessions is None else f" ({self.sessions})"
        return f"{self.text}{sessions}{'*' if self.best else ''}"


@dataclass(frozen=True)
class Block:
    """A table.

    Attributes:
        title: what it is of.
        headings: one per column.
        rows: cells, as many in each as there are headings.
        note: how to read it; "" where that is plain.
    """

    title: str
    headings: list[str]
    rows: list[list[Cell]]
    note: str = ""

    def texts(self) -> list[list[str]]:
        """The rows for a terminal: sessions in brackets, a star at the best."""
        padded = any(cell.best for row in self.rows for cell in row)
        return [[str(cell) if cell.best or not padded else f"{cell} " for cell in row] for row in self.rows]


def score_blocks(rows: Sequence[Row]) -> list[Block]:
    """The paper's Table 1, a block for each form: mean ± SD over sessions of the scores in its columns.

    Columns of what the study was not made of are left out. The best of a column is marked if two kinds or
    more were trained as the protocol says and scored on as many sessions as any. Pretrained models, which
    have learnt from more days, are not compared.
    """
    split = main_split(rows)
    held_out = "last" if split == "chronological" else "random"
    days = f" (single day: the {held_out} 20 % held out)" if SINGLE_DAY in protocols_of(rows) else ""
    shown = columns_of(rows)
    blocks = []
    for form in forms_of(rows):
        within = pick(rows, form=form)
        names = names_of(pick(within, split=split))
        trained = {name_of(row) for row in within if row["base"] is None}
        columns = [[column_average(within, column, split, form, name) for name in names] for column in shown]
        best = [_best(averages, [name in trained for name in names]) for averages in columns]
        cells = [
            [Cell(name), *(_cell(column[i], i in top) for column, top in zip(columns, best, strict=True))]
            for i, name in enumerate(names)
        ]
        if cells:
            headings = ["kind", *(column.title for column in shown)]
            blocks.append(Block(f"{_title(form)}{days}", headings, cells))
    return _noted(blocks, _READ_SCORES)


def output_blocks(rows: Sequence[Row]) -> list[Block]:
    """R² and PCC of each output and of all: means over sessions, a row for each kind and what was held out.

    So the chronological split of a day stands above the random one. A block for each form, direction, score.
    """
    blocks = []
    for form in forms_of(rows):
        for direction in (DECODING, SIMULATION):
            within = pick(rows, form=form, direction=direction)
            for score, title, whole in _OUTPUT_SCORES:
                columns = [(output, output_score(score, output)) for output in outputs_of(within)]
                columns += whole
                body = [
                    [Cell(name if first else ""), Cell(held_out), *cells]
                    for name in names_of(within)
                    for first, held_out, cells in _held_out_rows(pick(within, name=name), columns)
                ]
                if body:
                    headings = ["kind", "held out", *(heading for heading, _ in columns)]
                    blocks.append(Block(f"{title}: {FORMS.get(form, form)}, {direction}", headings, body))
    return _noted(blocks, _READ_OUTPUTS)


def cost_blocks(rows: Sequence[Row]) -> list[Block]:
    """What each kind and form costs, a block for each direction: medians over the jobs.

    Medians, because a time is as long as what else the machine did.
    """
    blocks = []
    for direction in (DECODING, SIMULATION):
        within = pick(rows, direction=direction)
        protocols = protocols_of(within)
        body = []
        for form in forms_of(within):
            for name in names_of(pick(within, form=form)):
                jobs = pick(within, form=form, name=name)
                body.append([Cell(name), Cell(FORMS.get(form, form)), *_cost_cells(jobs, protocols)])
        if body:
            headings = ["kind", "form", *_COST_HEADINGS, *(f"s {each}" for each in protocols), "jobs"]
            blocks.append(Block(f"Cost, {direction}", headings, body))
    return _noted(blocks, _READ_COSTS)


def _title(form: str) -> str:
    title = FORMS.get(form, form)
    return title[:1].upper() + title[1:]


def _best(averages: Sequence[Average], compared: Sequence[bool]) -> set[int]:
    """Places of the best mean; empty where there is nothing to compare."""
    most = max((len(a.sessions) for a in averages), default=0)
    fair = [
        i
        for i, (a, may) in enumerate(zip(averages, compared, strict=True))
        if may and a.sessions and len(a.sessions) == most
    ]
    if len(fair) < 2:
        return set()
    top = max(averages[i].mean for i in fair)
    return {i for i in fair if averages[i].mean == top}


def _cell(score: Average, best: bool = False) -> Cell:
    if not score.sessions:
        return Cell("–")
    text = f"{number_of(score.mean)} ± {number_of(score.sd)}"
    return Cell(text, len(score.sessions), score.sd_seeds, score.seeds, best)


def _held_out_rows(
    rows: Sequence[Row], columns: Sequence[tuple[str, str]]
) -> list[tuple[bool, str, list[Cell]]]:
    """A kind's rows: whether it is its first, what was held out, and the means."""
    found: list[tuple[bool, str, list[Cell]]] = []
    for held_out, part in (
        ("last 20 %", pick(rows, protocol=SINGLE_DAY, split="chronological")),
        ("random 20 %", pick(rows, protocol=SINGLE_DAY, split="random")),
        ("next day", pick(rows, protocol=CROSS_DAY)),
    ):
        averages = [average(part, _score(score)) for _, score in columns]
        if any(each.sessions for each in averages):
            cells = [Cell(number_of(each.mean), None, each.sd_seeds, each.seeds) for each in averages]
            found.append((not found, held_out, cells))
    return found


def _noted(blocks: Sequence[Block], note: str) -> list[Block]:
    """The blocks, the last with a note on how to read all of them."""
    return [*blocks[:-1], *(replace(block, note=note) for block in blocks[-1:])]


def _score(name: str) -> Callable[[Row], float | None]:
    return lambda row: scores_of(row).get(name)


def _cost_cells(jobs: Sequence[Row], protocols: Sequence[str]) -> list[Cell]:
    trained = [row for row in jobs if row["base"] is None]
    return [
        Cell(_count(_median(jobs, "parameters"))),
        Cell(_count(_median(jobs, "footprint_bytes") / 1000.0, 1)),
        Cell(_count(_median(jobs, "dense_macs"))),
        Cell(_count(_median(jobs, "effective_acs"))),
        Cell(number_of(_median(jobs, "sparsity"))),
        Cell(_count(_median(jobs, "decode_us"), 1)),
        *(
            Cell(_count(_median(pick(trained, protocol=protocol), "train_seconds"), 1))
            for protocol in protocols
        ),
        Cell(str(len(jobs))),
    ]


def _median(jobs: Iterable[Row], cost: str) -> float:
    known = [value for row in jobs if (value := costs_of(row)[cost]) is not None]
    return statistics.median(known) if known else math.nan


def _count(value: float, digits: int = 0) -> str:
    """A number of things, thousands apart."""
    return f"{value:,.{digits}f}" if math.isfinite(value) else "–"


_COST_HEADINGS = [
    "parameters", "kB", "dense MACs", "effective ACs", "sparsity", "µs/bin",
]  # fmt: skip

_OUTPUT_SCORES = (
    ("r2", "R²", [("mean", "r2_mean"), ("weighted", "r2_weighted")]),
    ("pcc", "PCC", [("mean", "pcc_mean"), ("pooled", "pcc_pooled")]),
)

_READ_SCORES = (
    "R² of spikes to behaviour, PCC of behaviour to spikes: mean ± SD over (sessions), seeds\n"
    "averaged first; * best of those trained alike"
)

_READ_OUTPUTS = (
    "means over sessions; mean: over outputs or channels; weighted: by their variances;\n"
    "pooled: all outputs or channels and bins in one correlation"
)

_READ_COSTS = (
    "medians over jobs; MACs, ACs and µs of one bin; sparsity: part of the neurons' bins without a spike;\n"
    "s: seconds of training"
)
