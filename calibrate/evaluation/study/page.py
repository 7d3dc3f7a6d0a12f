"""The study as one HTML page: tables, figures, what each number is, and how to make it again.

One file: no scripts, nothing from elsewhere, light or dark as the reader's screen is; it prints, too.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import groupby

from rtdecode.calibrate.evaluation.study.glossary import CAPTIONS, headline, meanings
from rtdecode.calibrate.evaluation.study.rows import (
    CROSS_DAY,
    SINGLE_DAY,
    Row,
    listed,
    name_of,
    number_of,
    pick,
    session_of,
    sessions_of,
)
from rtdecode.calibrate.evaluation.study.tables import Block, Cell, cost_blocks, output_blocks, score_blocks


@dataclass(frozen=True)
class About:
    """What the rows do not say.

    Attributes:
        command: that made the study, as typed.
        made: when, e.g. "2026-11-25 12:00 UTC".
        versions: of the programs, by name.
        notes: sentences a reader must know, such as that times inside the bins are made up.
        sessions: a remark on a session, by its name.
        missing: jobs that are not in the rows, and why.
    """

    command: str
    made: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    sessions: Mapping[str, str] = field(default_factory=dict)
    missing: Sequence[str] = ()


def study_page(rows: Sequence[Row], figures: Mapping[str, bytes], about: About) -> str:
    """The page as HTML, well-formed as XML is.

    Args:
        rows: of the study; as many as are finished.
        figures: PNG files by their names in CAPTIONS; those that are not there are left out.
        about: for the heading and the last section.
    """
    title, below = headline(rows)
    facts = {
        "made": about.made,
        "jobs": str(len(rows)),
        "seeds": " ".join(map(str, sorted({row["seed"] for row in rows}))),
        "bins": ", ".join(f"{1e3 * width:g} ms" for width in sorted({row["bin_width_s"] for row in rows})),
    }
    parts = [
        f"<header><h1>{escape(title)}</h1><p>{escape(below)}</p></header>",
        '<p class="facts">'
        + " · ".join(f"{escape(k)} <b>{escape(v)}</b>" for k, v in facts.items() if v)
        + "</p>",
        _list("notes", [*about.notes, *(f"Missing: {job}" for job in about.missing)]),
        "<section><h2>Scores</h2>",
        *map(_block, score_blocks(rows)),
        _figure("scores.png", figures),
        "</section><section><h2>What the numbers are</h2>",
        _meanings(rows),
        "</section><section><h2>Each output, and how the day was split</h2>",
        *_side_by_side(output_blocks(rows)),
        "</section><section><h2>Cost</h2>",
        *map(_block, cost_blocks(rows)),
        "</section><section><h2>Cases</h2>",
        *(_figure(name, figures) for name in CAPTIONS if name != "scores.png"),
        "</section><section><h2>Sessions</h2>",
        _sessions(rows, about.sessions),
        "</section><section><h2>Made by</h2>",
        f"<pre>{escape(about.command)}</pre>",
        "<p>" + " · ".join(f"{escape(k)} <b>{escape(v)}</b>" for k, v in about.versions.items()) + "</p>",
        "</section>",
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<style>{_STYLE}</style></head><body>\n" + "\n".join(filter(None, parts)) + "\n</body></html>\n"
    )


def _block(block: Block) -> str:
    texts = sum(not any(_is_number(row[i]) for row in block.rows) for i in (0, 1))
    head = "".join(
        f"<th{_classes(words=i < texts)}>{escape(heading)}</th>" for i, heading in enumerate(block.headings)
    )
    body = []
    for row in block.rows:
        cells = [
            f"<th>{_cell(cell)}</th>"
            if i == 0
            else f"<td{_classes(best=cell.best, words=i < texts)}>{_cell(cell)}</td>"
            for i, cell in enumerate(row)
        ]
        first = ' class="first"' if row[0].text else ""
        body.append(f"<tr{first}>{''.join(cells)}</tr>")
    note = f'<p class="note">{escape(block.note)}</p>' if block.note else ""
    return (
        f'<div class="table"><h3>{escape(block.title)}</h3><div class="wide"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>{note}</div>"
    )


def _side_by_side(blocks: Sequence[Block]) -> list[str]:
    """Blocks that differ in their score alone, in a line where there is room."""
    groups = groupby(blocks, key=lambda block: block.title.partition(": ")[2])
    return [f'<div class="tables">{"".join(map(_block, group))}</div>' for _, group in groups]


def _is_number(cell: Cell) -> bool:
    return cell.text.startswith(tuple("–-0123456789"))


def _classes(**which: bool) -> str:
    names = " ".join(name for name, there in which.items() if there)
    return f' class="{names}"' if names else ""


def _cell(cell: Cell) -> str:
    small = [] if cell.sessions is None else [f"n {cell.sessions}"]
    if math.isfinite(cell.sd_seeds):
        seeds = "seeds " if cell.sessions is not None else ""
        small.append(f"{seeds}± {number_of(cell.sd_seeds)}")
    beside = f"<small>{escape(', '.join(small))}</small>" if small else ""
    return f"{escape(cell.text)}{'*' if cell.best else ''}{beside}"


def _figure(name: str, figures: Mapping[str, bytes]) -> str:
    if name not in figures:
        return ""
    title, text = CAPTIONS[name]
    data = base64.b64encode(figures[name]).decode("ascii")
    return (
        f'<figure><div class="wide"><img alt="{escape(title)}" src="data:image/png;base64,{data}"/></div>'
        f"<figcaption><b>{escape(title)}.</b> {escape(text)}</figcaption></figure>"
    )


def _meanings(rows: Sequence[Row]) -> str:
    items = meanings(rows).items()
    return (
        "<dl>"
        + "".join(f"<dt>{escape(what)}</dt><dd>{escape(_sentence(text))}</dd>" for what, text in items)
        + "</dl>"
    )


def _sessions(rows: Sequence[Row], remarks: Mapping[str, str]) -> str:
    """What was tested, and what it was learnt from."""
    body = []
    for name in sessions_of(rows):
        tested = [row for row in rows if session_of(row) == name]
        learnt = []
        for protocol in (SINGLE_DAY, CROSS_DAY):
            own = [row for row in pick(tested, protocol=protocol) if row["base"] is None]
            for days in dict.fromkeys(tuple(row["train"]) for row in own):
                minutes = [row["minutes"] for row in own if tuple(row["train"]) == days]
                what = "80 % of itself" if protocol == SINGLE_DAY else " + ".join(days)
                learnt.append(f"{protocol}: {what}, {_span(minutes)} min")
        learnt += [f"{base}, pretrained" for base in dict.fromkeys(row["base"] for row in tested) if base]
        cells = (name, "\n".join(learnt), remarks.get(name, ""))
        body.append(
            f'<tr class="first"><th>{escape(cells[0])}</th>'
            + "".join(f'<td class="words">{escape(cell)}</td>' for cell in cells[1:])
            + "</tr>"
        )
    pretraining = [row for row in rows if row["base"] is not None]
    pretrained_on = list(dict.fromkeys(day for row in pretraining for day in row["train"]))
    names = ", ".join(dict.fromkeys(name_of(row) for row in pretraining))
    after = f"<p>{escape(f'{names}: learnt from {listed(pretrained_on)}.')}</p>" if pretrained_on else ""
    return (
        '<div class="wide"><table class="sessions"><thead><tr><th>tested</th>'
        '<th class="words">learnt from</th><th></th></tr>'
        f"</thead><tbody>{''.join(body)}</tbody></table></div>{after}"
    )


def _span(numbers: Sequence[float]) -> str:
    low, high = f"{min(numbers):.1f}", f"{max(numbers):.1f}"
    return low if low == high else f"{low}–{high}"


def _list(css: str, sentences: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(_sentence(sentence))}</li>" for sentence in sentences)
    return f'<ul class="{css}">{items}</ul>' if items else ""


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


_STYLE = """
@page { size: A4; margin: 10mm }
:root { color-scheme: light dark; --ink: #111; --soft: #444; --line: #000; --faint: #ccc; --paper: #fff;
  --head: #e4edf6; --head-line: #1b5fa8; --best: #d9f2dc }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --soft: #b4b4b4; --line: #ccc; --faint: #444; --paper: #16181b; --head: #1d2a38;
    --head-line: #6ea3d8; --best: #1e4526 } }
* { box-sizing: border-box }
body { font: 14px/1.4 system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; color: var(--ink);
  background: var(--paper); max-width: 1160px; margin: 12px auto; padding: 0 12px }
h1 { font-size: 24px; line-height: 1.2; margin: 0 } h2 { font-size: 18px; margin: 26px 0 4px }
h3 { font-size: 14px; margin: 14px 0 2px }
header { padding: 10px 14px; border: 3px solid var(--head-line); background: var(--head);
  print-color-adjust: exact; -webkit-print-color-adjust: exact }
header p { margin: 2px 0 0 } .facts, .note, figcaption, small { color: var(--soft) } .facts { margin: 6px 0 }
.facts, dd, li, td, header, .note { overflow-wrap: anywhere } p { margin: 4px 0 }
.notes { margin: 6px 0; padding-left: 18px; font-weight: bold }
.tables { display: flex; flex-wrap: wrap; gap: 0 36px; font-size: 12px } .table { max-width: 100% }
.tables td, .tables th { padding: 2px 6px } .tables tr > :first-child { white-space: normal;
  max-width: 92px }
.tables small { font-size: 10px } td.words { min-width: 90px }
.wide { overflow-x: auto } table { border-collapse: collapse }
td, th { padding: 2px 10px; text-align: right; white-space: nowrap; vertical-align: top }
tr > :first-child, .words { text-align: left }
tr > :first-child { padding-left: 4px; position: sticky; left: 0; background: var(--paper) }
thead th { border-bottom: 1px solid var(--line) } .first > * { border-top: 1px solid var(--faint) }
td { font-variant-numeric: tabular-nums } small { display: block; font-size: 11px; line-height: 1.2 }
.best { font-weight: bold; background: var(--best) } .best small { font-weight: normal }
.sessions td { white-space: pre-line } .sessions th { text-align: left }
figure { margin: 12px 0 24px } figure img { display: block; width: 100%; min-width: 720px; height: auto;
  background: #fff; padding: 6px } figcaption { margin-top: 4px }
dl { display: grid; grid-template-columns: 90px 1fr; gap: 3px 10px; margin: 0 }
dt { font-weight: bold } dd { margin: 0 }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--faint); padding: 8px;
  margin: 4px 0 }
@media (max-width: 600px) { dl { display: block } dd { margin-bottom: 6px } h1 { font-size: 20px }
  td, th { padding: 2px 6px } tr > :first-child { white-space: normal } }
@media print { body { font-size: 9px } figure img { min-width: 0 } figure, tr { break-inside: avoid } }
"""
