"""The study as one HTML page, from the template page.html.jinja."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rtdecode.calibrate.evaluation.study.frames import StudyFrames
from rtdecode.calibrate.evaluation.study.rows import (
    CROSS_DAY,
    DIRECTIONS,
    SINGLE_DAY,
    Row,
    causalities_of,
    listed,
    main_split,
    name_of,
    number_of,
    pick,
    session_of,
)
from rtdecode.calibrate.evaluation.study.tables import Block, cost_blocks, output_blocks, score_blocks

TEMPLATE = Path(__file__).with_name("page.html.jinja")


@dataclass(frozen=True)
class About:
    """What the rows do not contain.

    Attributes:
        command: that made the study, as typed.
        made: date and time, such as "2026-11-25 12:00 UTC".
        versions: of the programs, by name.
        notes: sentences for the reader, such as that event times within bins are simulated.
        sessions: a remark on a session, by its name.
        missing: jobs without a row, and the reasons.
    """

    command: str
    made: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    sessions: Mapping[str, str] = field(default_factory=dict)
    missing: Sequence[str] = ()


def study_page(frames: StudyFrames, figures: Mapping[str, bytes], about: About) -> str:
    """The page as HTML, well-formed as XML is.

    Args:
        frames: of the finished jobs.
        figures: PNG files by name; those that are missing are left out.
        about: for the heading and the last section.
    """
    rows = frames.rows
    title, subtitle = _headline(rows)
    made = {
        "made": about.made,
        "jobs": str(len(rows)),
        "seeds": " ".join(map(str, sorted({row["seed"] for row in rows}))),
        "bins": ", ".join(f"{1e3 * width:g} ms" for width in sorted({row["bin_width_s"] for row in rows})),
    }
    across = [row for row in pick(rows, protocol=CROSS_DAY) if row["base"] is None]
    zero_shot = [row for row in rows if row["base"] is not None]
    splits = {row["split"] for row in pick(rows, protocol=SINGLE_DAY)}
    # Blocks of the same causality and direction are side by side where there is room.
    outputs = groupby(output_blocks(frames), key=lambda block: block.title.partition(": ")[2])
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {"sentence": _sentence, "number": number_of, "is_finite": math.isfinite}
    return environment.get_template(TEMPLATE.name).render(
        title=title,
        subtitle=subtitle,
        made=[(name, value) for name, value in made.items() if value],
        notes=[*about.notes, *(f"Missing: {job}" for job in about.missing)],
        scores=_with_words(score_blocks(frames)),
        outputs=[_with_words(group) for _, group in outputs],
        costs=_with_words(cost_blocks(frames)),
        figures={name: base64.b64encode(data).decode("ascii") for name, data in figures.items()},
        causalities=causalities_of(rows),
        splits=[split for split in ("chronological", "random") if split in splits],
        main_split=main_split(rows),
        days=sorted({len(row["train"]) for row in across}),
        bases=sorted({str(row["base"]) for row in zero_shot}),
        sessions=[_session(name, rows, about) for name in sorted({session_of(row) for row in rows})],
        pretrained=", ".join(dict.fromkeys(name_of(row) for row in zero_shot)),
        pretrained_on=listed(list(dict.fromkeys(day for row in zero_shot for day in row["train"]))),
        command=about.command,
        versions=list(about.versions.items()),
    )


def _headline(rows: Sequence[Row]) -> tuple[str, str]:
    """The page's title, and a sentence below it."""
    if not rows:
        return "No job is finished", "There is nothing to show yet."
    directions = [each for each in DIRECTIONS.values() if pick(rows, direction=each)]
    sessions, kinds = (len(set(values)) for values in (map(session_of, rows), (row["kind"] for row in rows)))
    title = [
        f"{sessions} session{'' if sessions == 1 else 's'}",
        f"{kinds} kind{'' if kinds == 1 else 's'} of decoder",
        "both directions" if len(directions) == 2 else directions[0],
    ]
    tests = {SINGLE_DAY: "on the rest of the same day", CROSS_DAY: "on the next day"}
    scored = [text for protocol, text in tests.items() if pick(rows, protocol=protocol)]
    return ", ".join(title), f"Trained on recordings, and scored {listed(scored)}."


def _with_words(blocks: Iterable[Block]) -> list[dict[str, object]]:
    """Blocks, and how many of their first columns are words, which are aligned to the left."""
    return [
        {**vars(block), "words": sum(not any(_is_number(row[i].text) for row in block.rows) for i in (0, 1))}
        for block in blocks
    ]


def _is_number(text: str) -> bool:
    return text.startswith(tuple("–-0123456789"))


def _session(name: str, rows: Sequence[Row], about: About) -> dict[str, str]:
    """A test session, and the sessions that its models were trained on."""
    tested = [row for row in rows if session_of(row) == name]
    trained_on = []
    for protocol in (SINGLE_DAY, CROSS_DAY):
        own = [row for row in pick(tested, protocol=protocol) if row["base"] is None]
        for days in dict.fromkeys(tuple(row["train"]) for row in own):
            minutes = [row["minutes"] for row in own if tuple(row["train"]) == days]
            low, high = f"{min(minutes):.1f}", f"{max(minutes):.1f}"
            what = "80 % of itself" if protocol == SINGLE_DAY else " + ".join(days)
            trained_on.append(f"{protocol}: {what}, {low if low == high else f'{low}–{high}'} min")
    trained_on += [f"{base}, pretrained" for base in dict.fromkeys(row["base"] for row in tested) if base]
    return {"name": name, "trained_on": "\n".join(trained_on), "remark": about.sessions.get(name, "")}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")
