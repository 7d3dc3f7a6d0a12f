"""What a file of another program holds, as lines and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtdecode.tools.files.recording import BinnedSpikes, Recording, Series, SpikeTimes
from rtdecode.tools.files.unit_filter import columns_of

#: Headings of series by their role.
ROLES = {
    "behavior": "behaviour (--behavior)",
    "signal": "signals (--features)",
    "mask": "masks",
    "other": "other series (--behavior, --features)",
}


def listed(recording: Recording) -> dict[str, Any]:
    """What a recording holds, for JSON."""
    return {
        "file": str(recording.path),
        "format": recording.format,
        "spikes": [_spikes(source) for source in recording.spikes],
        "series": [_series(series) for series in recording.series],
        "trials": [
            {"name": table.name, "trials": len(table.start), "columns": list(table.columns)}
            for table in recording.trials
        ],
        "markers": [{"name": each.name, "markers": len(each.time)} for each in recording.markers],
        "intervals": None if recording.observed is None else len(recording.observed),
        "attrs": dict(recording.attrs),
        "notes": list(recording.notes),
        "others": [{"name": name, "what": what} for name, what in recording.others],
    }


def lines_of(recording: Recording) -> list[str]:
    """The same for people, a line each."""
    facts = listed(recording)
    lines = [f"{facts['file']}: {facts['format']}"]
    lines += _block("spikes (--spikes)", [(each["name"], _spikes_line(each)) for each in facts["spikes"]])
    for role, heading in ROLES.items():
        of_role = [(each["name"], _series_line(each)) for each in facts["series"] if each["role"] == role]
        lines += _block(heading, of_role)
    lines += _block(
        "trials (--trials)",
        [
            (
                each["name"],
                f"{each['trials']}" + (f"; {', '.join(each['columns'])}" if each["columns"] else ""),
            )
            for each in facts["trials"]
        ],
    )
    lines += _block("markers", [(each["name"], str(each["markers"])) for each in facts["markers"]])
    lines += _block("not imported", [(each["name"], each["what"]) for each in facts["others"]])
    return lines + [f"note: {note}" for note in facts["notes"]]


def _spikes(source: SpikeTimes | BinnedSpikes) -> dict[str, Any]:
    units = source.units
    facts: dict[str, Any] = {
        "name": source.name,
        "units": len(units.ids),
        "electrodes": len({each for each in units.electrodes if each}) or None,
        "columns": list(columns_of(units)),
    }
    if isinstance(source, SpikeTimes):
        return facts | {"spikes": source.n_spikes}
    return facts | {"bins": source.n_bins, "bin_width_s": source.bin_width_s, "stamps": source.stamps}


def _spikes_line(facts: dict[str, Any]) -> str:
    line = f"{facts['units']} units"
    if facts["electrodes"]:
        line += f" of {facts['electrodes']} electrodes"
    if "bins" in facts:
        width_s = facts["bin_width_s"]
        line += f", {facts['bins']:,} bins" + (f" of {width_s * 1e3:g} ms" if width_s else "")
    elif facts["spikes"] is not None:
        line += f", {facts['spikes']:,} spikes"
    return f"{line}; --units by {', '.join(facts['columns'])}"


def _series(series: Series) -> dict[str, Any]:
    return {
        "name": series.name,
        "role": series.role,
        "columns": list(series.columns),
        "units": list(series.units),
        "samples": series.n_samples,
        "rate_hz": series.rate_hz,
        "note": series.note,
    }


def _series_line(facts: dict[str, Any]) -> str:
    pairs = [
        f"{name} ({unit})" if unit else name
        for name, unit in zip(facts["columns"], facts["units"], strict=True)
    ]
    shown = ", ".join(pairs[:6]) + (f", … {len(pairs)} columns" if len(pairs) > 6 else "")
    line = f"{shown}; {facts['samples']:,} samples"
    line += f" at {facts['rate_hz']:.4g} Hz" if facts["rate_hz"] else ""
    return line + (f"; {facts['note']}" if facts["note"] else "")


def _block(heading: str, rows: Sequence[tuple[str, str]]) -> list[str]:
    if not rows:
        return []
    width = max(len(name) for name, _ in rows)
    return [heading, *(f"  {name:<{width}}  {what}" for name, what in rows)]
