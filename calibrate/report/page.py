"""A page about a calibration: whether its model can be trusted.

report_or_note(path, result, base, about={"base": "indy.safetensors", "stream": "M1"})

A single HTML file: no scripts, no external files, readable in black and white, made to be printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.adaptation.calibrate import Calibration
from rtdecode.calibrate.adaptation.gate import Verdict
from rtdecode.calibrate.report.changes import changes_since_base
from rtdecode.calibrate.report.figures import draw_svg
from rtdecode.errors import RtdecodeError
from rtdecode.files import replace_file
from rtdecode.kernels.arrays import F8

#: R² of the worst output below which a model that passed is to be trusted with care.
WEAK_R2 = 0.2


@dataclass(frozen=True)
class Trust:
    """Whether to use the calibrated model, in words.

    Attributes:
        level: "trust", "care" or "no".
        headline: in capitals.
        why: a sentence or two.
    """

    level: str
    headline: str
    why: str


def trust_in(result: Calibration) -> Trust:
    """How far to trust a calibration: the gate's verdict, with care where something is odd."""
    if not result.deployable:
        forced = result.artifact is not None and "forced" in result.artifact.provenance
        made_current = " It was made current nevertheless, with --force." if forced else ""
        odd = [what for what in _serious(result) if not result.reason.startswith("channels look reordered")]
        besides = f" Also, {'; '.join(odd)}." if odd else ""
        if not result.judged:
            watch = " Watch the first trials, if you use it."
            return Trust("care", "NOT JUDGED", f"{_sentence(result.reason)}{besides}{made_current}{watch}")
        if result.verdict is not None and not made_current and _incumbent_is_good(result.verdict):
            return Trust("care", "KEEP THE MODEL IN USE", f"{_sentence(result.reason)}{besides}")
        return Trust("no", "DO NOT USE", f"Refused: {result.reason}.{besides}{made_current}")
    cares = []
    if result.verdict is not None:
        outputs = () if result.artifact is None else result.artifact.output_names
        scored = zip(outputs, result.verdict.new, strict=True)
        weak = [name for name, score in scored if score < WEAK_R2]
        if weak:
            cares.append(f"{', '.join(weak)} {'is' if len(weak) == 1 else 'are'} decoded poorly")
    cares += _serious(result)
    if cares:
        return Trust("care", "TRUST WITH CARE", f"{_sentence(result.reason)} But {'; '.join(cares)}.")
    return Trust("trust", "TRUST", _sentence(result.reason))


def _incumbent_is_good(verdict: Verdict) -> bool:
    """Whether the model in use still decodes well, and no worse than the new ones."""
    if verdict.incumbent is None:
        return False
    others = [score for score in (verdict.new, verdict.wiener) if score is not None]
    return _mean(verdict.incumbent) >= max(WEAK_R2, *map(_mean, others))


def _serious(result: Calibration) -> list[str]:
    found = result.channels
    return [] if found is None else [oddity.what for oddity in found.oddities if oddity.serious]


def report_or_note(
    path: Path, result: Calibration, base: ModelArtifact, about: Mapping[str, str] | None = None
) -> str | None:
    """Write the page, atomically; a failure is a note and no error: the calibration is still valid.

    Args:
        path: of the .html file.
        result: of the calibration.
        base: the model that it started from.
        about: further facts for the heading, such as the base's file and the stream.

    Returns:
        Why there is no page; None if there is one.
    """
    try:
        replace_file(path, page(result, base, about or {}).encode())
    except Exception as error:  # noqa: BLE001 - whatever it is, the model is made
        what = str(error) if isinstance(error, RtdecodeError) else f"{type(error).__name__}: {error}"
        return f"the report could not be written ({what})"
    return None


def page(result: Calibration, base: ModelArtifact, about: Mapping[str, str]) -> str:
    """The page as HTML."""
    trust, day = trust_in(result), result.session
    mark = {"trust": "✓", "care": "!", "no": "✗"}[trust.level]
    facts = {
        "session": day.name,
        "recorded": day.of.session.attrs.get("date", ""),
        **about,
        "rung": result.rung,
    }
    if result.artifact is not None:
        facts["model"] = result.artifact.model_id
        facts["made"] = str(result.artifact.provenance.get("created", ""))
    facts["in"] = f"{result.seconds:.0f} s"
    parts = [
        f'<header class="{trust.level}"><span class="mark">{mark}</span><div><h1>{trust.headline}</h1>'
        f"<p>{escape(trust.why)}</p></div></header>",
        '<p class="facts">'
        + " · ".join(f"{escape(k)} <b>{escape(v)}</b>" for k, v in facts.items() if v)
        + "</p>",
        '<div class="columns"><section><h2>Scores</h2>',
        _scores(result),
        "</section><section><h2>What is odd today</h2>",
        _oddities(result),
        "</section></div>",
        _figure(result),
        '<section class="details"><h2>Since the base</h2>',
        _details(result, base),
        "</section>",
    ]
    title = f"{trust.headline}: {day.name}"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _scores(result: Calibration) -> str:
    verdict = result.verdict
    if verdict is None or result.artifact is None:
        why = "No behaviour, so no scores." if result.artifact is not None else "No model could be made."
        return f"<p>{why}</p>"
    each = (("new", verdict.new), ("in use", verdict.incumbent), ("Wiener", verdict.wiener))
    columns = [(name, score) for name, score in each if score is not None]
    head = "".join(f"<th>{name}</th>" for name, _ in columns)
    rows = [
        (output.name, [float(score[i]) for _, score in columns])
        for i, output in enumerate(result.artifact.outputs)
    ]
    rows.append(("mean", [_mean(score) for _, score in columns]))
    body = "".join(
        f"<tr{' class=mean' if i == len(rows) - 1 else ''}><th>{escape(name)}</th>"
        + "".join(f"<td>{_number(value)}</td>" for value in values)
        + "</tr>"
        for i, (name, values) in enumerate(rows)
    )
    return (
        f"<table><tr><th>R²</th>{head}</tr>{body}</table>"
        f"<p>Of the last {result.session.test_s:.0f} s, which were not used for training. The mean is above "
        f"<b>{_number(verdict.bound)}</b> in 95 % of bootstrap resamples (bound); with circularly shifted "
        f"behaviour it is up to <b>{_number(verdict.chance)}</b> (chance).</p>"
    )


def _oddities(result: Calibration) -> str:
    oddities = () if result.channels is None else result.channels.oddities
    listed = set(map(str, oddities))
    items = [
        f"<li{' class=serious' if oddity.serious else ''}>{escape(_sentence(oddity.what))} "
        f"<i>{escape(_sentence(oddity.fix))}</i></li>"
        for oddity in oddities
    ]
    items += [f"<li>{escape(_sentence(note))}</li>" for note in result.notes if note not in listed]
    return f"<ul>{''.join(items)}</ul>" if items else "<p>Nothing.</p>"


def _figure(result: Calibration) -> str:
    if result.channels is None or result.artifact is None:
        return ""
    day = result.session
    svg = draw_svg(
        result.channels,
        result.artifact.outputs,
        day.bin_width_s,
        verdict=result.verdict,
        decoded=result.decoded,
        targets=None if result.decoded is None else day.targets[day.test],
    )
    return f'<div class="figure">{svg}</div>'


def _details(result: Calibration, base: ModelArtifact) -> str:
    lines = changes_since_base(result, base)
    if not lines:
        return "<p>Nothing was compared.</p>"
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in lines) + "</dl>"


def _mean(score: F8) -> float:
    finite = score[np.isfinite(score)]
    return float(finite.mean()) if len(finite) else float("nan")


def _number(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "–"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


_STYLE = """
@page { size: A4; margin: 10mm }
* { box-sizing: border-box }
body { font: 12px/1.35 system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; color: #111;
  max-width: 1000px; margin: 12px auto; padding: 0 12px }
h1 { font-size: 24px; margin: 0; letter-spacing: .04em } h2 { font-size: 14px; margin: 8px 0 4px }
header { display: flex; gap: 14px; align-items: center; padding: 10px 14px; border: 3px solid #000;
  print-color-adjust: exact; -webkit-print-color-adjust: exact }
header div { min-width: 0 }
header p { margin: 2px 0 0; font-size: 13px } .mark { font-size: 34px; font-weight: bold; line-height: 1 }
.trust { background: #d9f2dc; border-color: #14691f }
.care { background: #fff1c2; border: 3px dashed #7a5900 }
.no { background: #f9d6d3; border: 6px double #8c1512 }
.facts { color: #333; margin: 6px 0; overflow-wrap: anywhere }
.columns { display: grid; grid-template-columns: 5fr 6fr; gap: 20px }
table { border-collapse: collapse; width: 100% } td, th { padding: 1px 6px; text-align: right }
tr th:first-child { text-align: left } tr:first-child th { border-bottom: 1px solid #000 }
.mean td, .mean th { border-top: 1px solid #000; font-weight: bold }
p { margin: 4px 0 } ul { margin: 0; padding-left: 16px } .serious { font-weight: bold }
.serious i { font-weight: normal } .figure svg { width: 100%; height: auto; margin-top: 4px }
dl { display: grid; grid-template-columns: 70px 1fr; gap: 2px 8px; margin: 0 }
dt { font-weight: bold } dd { margin: 0 } section { break-inside: avoid; overflow-wrap: anywhere }
"""
