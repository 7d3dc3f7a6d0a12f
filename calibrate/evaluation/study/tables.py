"""The study's tables: the paper's Table 1, the scores of each output by split, and the cost of each kind.

for block in score_blocks(study_frames(rows)):
    print(block.title, table(block.headings, block.texts()), block.note, sep="\n")
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rtdecode.calibrate.evaluation.study.frames import COSTS, StudyFrames, output_score
from rtdecode.calibrate.evaluation.study.rows import (
    CAUSALITIES,
    CROSS_DAY,
    DECODING,
    DIRECTIONS,
    SINGLE_DAY,
    causalities_of,
    columns_of,
    main_split,
    name_of,
    names_of,
    number_of,
    pick,
    protocols_of,
)

#: Printed name of each test set, by protocol and split.
TEST_SETS = {
    (SINGLE_DAY, "chronological"): "last 20 %",
    (SINGLE_DAY, "random"): "random 20 %",
    (CROSS_DAY, ""): "next day",
}


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: its content.
        sessions: number of sessions of a mean; None where that is not printed.
        sd_seeds: SD over the seeds of a session; NaN without.
        best: whether it is the best of its column.
    """

    text: str
    sessions: int | None = None
    sd_seeds: float = math.nan
    best: bool = False

    def __str__(self) -> str:
        sessions = "" if self.sessions is None else f" ({self.sessions})"
        return f"{self.text}{sessions}{'*' if self.best else ''}"


@dataclass(frozen=True)
class Block:
    """A table.

    Attributes:
        title: its subject.
        headings: one for each column.
        rows: cells, one for each heading.
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


def score_blocks(frames: StudyFrames) -> list[Block]:
    """The paper's Table 1, a block for each causality: mean ± SD over sessions of the scores in its columns.

    Columns without rows are left out. The best of a column is marked if two kinds or more were trained by
    the protocol and scored on as many sessions as any. Pretrained models, trained on more days, are not
    compared.
    """
    rows = frames.rows
    split = main_split(rows)
    test_set = TEST_SETS[SINGLE_DAY, split]
    suffix = f" (single day: tested on the {test_set})" if SINGLE_DAY in protocols_of(rows) else ""
    columns = columns_of(rows)
    blocks = []
    for causality in causalities_of(rows):
        within = pick(rows, causality=causality)
        names = names_of(pick(within, split=split))
        trained = {name_of(row) for row in within if row["base"] is None}
        cells = [[Cell(name)] for name in names]
        for column in columns:
            found = _averages(frames, [frames.key(column, causality, name) for name in names])
            best = _best(found, [name in trained for name in names])
            for i, (row, score) in enumerate(zip(cells, found, strict=True)):
                row.append(_score_cell(score, i in best))
        if cells:
            title = CAUSALITIES.get(causality, causality)
            headings = ["kind", *(column.title for column in columns)]
            blocks.append(Block(f"{title[:1].upper()}{title[1:]}{suffix}", headings, cells))
    return _noted(blocks, _READ_SCORES)


def output_blocks(frames: StudyFrames) -> list[Block]:
    """R² and PCC of each output and of all: means over sessions, a row for each kind and test set.

    The chronological split of a day is above the random one. A block for each causality, direction and score.
    """
    blocks = []
    for causality in causalities_of(frames.rows):
        for direction in DIRECTIONS.values():
            within = pick(frames.rows, causality=causality, direction=direction)
            outputs = list(dict.fromkeys(name for row in within for name in row["outputs"]))
            for score, title, overall in _OUTPUT_SCORES:
                own = [(name, output_score(score, name)) for name in outputs if direction == DECODING]
                columns = [*own, *overall]
                body = []
                for name in names_of(within):
                    first = name
                    for (protocol, split), test_set in TEST_SETS.items():
                        keys = [
                            (causality, name, protocol, split, direction, column) for _, column in columns
                        ]
                        found = _averages(frames, keys)
                        if any(each.sessions for each in found):
                            means = [Cell(number_of(each.mean), None, each.sd_seeds) for each in found]
                            body.append([Cell(first), Cell(test_set), *means])
                            first = ""
                if body:
                    headings = ["kind", "test set", *(heading for heading, _ in columns)]
                    block_title = f"{title}: {CAUSALITIES.get(causality, causality)}, {direction}"
                    blocks.append(Block(block_title, headings, body))
    return _noted(blocks, _READ_OUTPUTS)


def cost_blocks(frames: StudyFrames) -> list[Block]:
    """The cost of each kind and causality, a block for each direction: medians over the jobs.

    Medians, because a time depends on what else the machine did.
    """
    blocks = []
    for direction in DIRECTIONS.values():
        within = pick(frames.rows, direction=direction)
        protocols = protocols_of(within)
        body = []
        for causality in causalities_of(within):
            for name in names_of(pick(within, causality=causality)):
                jobs = frames.jobs.query("direction == @direction and form == @causality and name == @name")
                cells = [
                    Cell(name),
                    Cell(CAUSALITIES.get(causality, causality)),
                    *_cost_cells(jobs, protocols),
                ]
                body.append(cells)
        if body:
            headings = ["kind", "causality", *_COST_HEADINGS, *(f"s {each}" for each in protocols), "jobs"]
            blocks.append(Block(f"Cost, {direction}", headings, body))
    return _noted(blocks, _READ_COSTS)


def _averages(frames: StudyFrames, keys: Sequence[tuple[str, ...]]) -> list[Any]:
    """Lines of `frames.averages`, with 0 sessions where there is none."""
    found = frames.averages[["mean", "sd_sessions", "sessions", "sd_seeds"]].reindex(keys)
    return list(found.fillna({"sessions": 0}).itertuples(index=False))


def _best(found: Sequence[Any], trained: Sequence[bool]) -> set[int]:
    """Rows of the best mean; empty where there is nothing to compare."""
    most = max((each.sessions for each in found), default=0)
    fair = [
        i
        for i, (each, compared) in enumerate(zip(found, trained, strict=True))
        if compared and each.sessions and each.sessions == most
    ]
    if len(fair) < 2:
        return set()
    top = max(found[i].mean for i in fair)
    return {i for i in fair if found[i].mean == top}


def _score_cell(score: Any, best: bool) -> Cell:
    if not score.sessions:
        return Cell("–")
    text = f"{number_of(score.mean)} ± {number_of(score.sd_sessions)}"
    return Cell(text, int(score.sessions), score.sd_seeds, best)


def _noted(blocks: Sequence[Block], note: str) -> list[Block]:
    """The blocks, the last with a note on how to read all of them."""
    return [*blocks[:-1], *(replace(block, note=note) for block in blocks[-1:])]


def _cost_cells(jobs: Any, protocols: Sequence[str]) -> list[Cell]:
    median = jobs[list(COSTS)].median()
    seconds = jobs[~jobs["pretrained"]].groupby("protocol")["train_seconds"].median()
    return [
        Cell(_count(median["parameters"])),
        Cell(_count(median["footprint_bytes"] / 1000.0, 1)),
        Cell(_count(median["dense_macs"])),
        Cell(_count(median["effective_acs"])),
        Cell(number_of(median["sparsity"])),
        Cell(_count(median["decode_us"], 1)),
        *(Cell(_count(seconds.get(protocol, math.nan), 1)) for protocol in protocols),
        Cell(str(len(jobs))),
    ]


def _count(value: float, digits: int = 0) -> str:
    """A number with separated thousands; a dash for NaN or infinity."""
    return f"{value:,.{digits}f}" if math.isfinite(value) else "–"


_COST_HEADINGS = ["parameters", "kB", "dense MACs", "effective ACs", "sparsity", "µs/bin"]

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
    "medians over jobs; MACs, ACs and µs of one bin; sparsity: fraction of the neurons' bins without\n"
    "a spike; s: seconds of training"
)
