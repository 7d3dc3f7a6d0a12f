"""Spikes of labelled channels and units: labels are ids and are never taken for indices."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from rtdecode.tools.files.recording import F8, Rows, SpikeTimes, UnitTable

#: Channel and unit of a spike, as text; "" for the unit where nothing is sorted.
Label = tuple[str, str]


class Labels:
    """Numbers the labels of spikes as they are met."""

    def __init__(self) -> None:
        self._seen: dict[Label, int] = {}

    def number(self, labels: Iterable[Label]) -> NDArray[np.uint32]:
        """u4[n], a number for each label, equal for equal ones."""
        seen = self._seen
        return np.array([seen.setdefault(label, len(seen)) for label in labels], np.uint32)

    def spikes(
        self, name: str, time: F8, number: NDArray[np.uint32], silent: Iterable[str] = ()
    ) -> SpikeTimes:
        """All spikes, their rows in the order of the labels.

        Args:
            name: of the source.
            time: f8[n], seconds.
            number: u4[n], of `number`.
            silent: channels that are there too, with or without a spike.
        """
        met = {channel for channel, _ in self._seen}
        labels = list(self._seen)
        labels += [(each, "0" if any(u for _, u in labels) else "") for each in silent if each not in met]
        order = sorted(range(len(labels)), key=lambda i: tuple(map(natural, labels[i])))
        row_of = np.empty(len(labels), np.uint32)
        row_of[order] = np.arange(len(labels))
        return spikes_of(name, unit_table([labels[i] for i in order]), time, row_of[number])


def spikes_of(name: str, units: UnitTable, time: F8, row: NDArray[np.uint32]) -> SpikeTimes:
    """Spikes that are in memory: `time` f8[n], seconds, and `row` u4[n], index into `units`."""

    def read(rows: Rows) -> tuple[F8, NDArray[np.uint32]]:
        wanted = np.zeros(len(units.ids), np.bool_)
        wanted[rows] = True
        chosen = wanted[row]
        return (time, row) if wanted.all() else (time[chosen], row[chosen])

    return SpikeTimes(name, units, len(time), read)


def unit_table(labels: list[Label]) -> UnitTable:
    """A row for each channel, or for each unit of a channel; the channel is "" where units have none."""
    ids = tuple("/".join(filter(None, label)) for label in labels)
    numbers = [unit_number(unit) for _, unit in labels]
    known = [number for number in numbers if number is not None]
    sorted_ = any(unit for _, unit in labels) and len(known) == len(labels)
    electrodes = tuple(channel for channel, _ in labels)
    return UnitTable(ids, electrodes, np.array(known, np.int64) if sorted_ and any(electrodes) else None)


def unit_number(unit: str) -> int | None:
    """Number of a unit on its electrode: 2, "2", "b"; 0 for unsorted; None for another name."""
    if unit.lower() in ("", "u", "unsorted"):
        return 0
    if re.fullmatch(r"[+-]?\d{1,18}", unit):
        return int(unit)
    return ord(unit.lower()) - ord("a") + 1 if re.fullmatch("[a-zA-Z]", unit) else None


def tidy(label: str) -> str:
    """A label as text; 3.0, as some programs write whole numbers, is 3."""
    label = label.strip()
    return label[:-2] if re.fullmatch(r"[+-]?\d+\.0", label) else label


def natural(label: str) -> list[tuple[int, int, str]]:
    """By this e2 is sorted before e10."""
    parts = re.split(r"(\d+)", label)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts if part]
