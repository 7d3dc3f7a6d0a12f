"""How a model of other days does on a new one, by the minutes of labels that it is given.

scores = few_shot(["today.h5"], [read_artifact("base.safetensors")], minutes=(0, 1, 4))
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.adapt import adapt
from rtdecode.calibrate.dayfilter import wiener_of_today
from rtdecode.calibrate.networks import chosen_device, export_members, take_up
from rtdecode.calibrate.score import nullable, pcc, r2
from rtdecode.calibrate.sessions import LabelledSession, describe_outputs, read_all
from rtdecode.calibrate.split import chronological_split
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.models.members import networks_of
from rtdecode.models.network import Network

PROTOCOL = "few-shot"
MINUTES = (0.0, 0.5, 1.0, 2.0, 4.0)
HOLDOUT = 0.2

#: Which minutes of a day are known: the last before its last fifth, or its first.
KNOWN = ("last", "first")

Progress = Callable[[str, float], None]
"""Called with what is being done and how much of the whole is done, 0 to 1."""


@dataclass(frozen=True, eq=False)
class Score:
    """One model on one day.

    Attributes:
        kind: "alignnet", "gru" or "wiener".
        model: id of the base; None for a filter, which has none.
        train: names of the sessions that the base was trained on.
        test: name of the day.
        minutes: of labels that the model was given.
        known: which minutes, see `KNOWN`.
        seed: of the fine-tuning.
        outputs: names.
        r2, pcc: f8[D], over the last fifth of the day; NaN where there is no score.
        seconds: that fitting to the day took.
    """

    kind: str
    model: str | None
    train: tuple[str, ...]
    test: str
    minutes: float
    known: str
    seed: int
    outputs: tuple[str, ...]
    r2: NDArray[np.float64]
    pcc: NDArray[np.float64]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """As `rtdecode evaluate --json` prints it."""
        return {
            "kind": self.kind,
            "causal": True,
            "protocol": PROTOCOL,
            "model": self.model,
            "train": list(self.train),
            "test": [self.test],
            "minutes": self.minutes,
            "known": self.known,
            "seed": self.seed,
            "direction": "spikes to behaviour",
            "outputs": list(self.outputs),
            "r2": nullable(self.r2),
            "pcc": nullable(self.pcc),
            "seconds": self.seconds,
        }


def few_shot(
    paths: Sequence[Path | str],
    bases: Sequence[ModelArtifact],
    *,
    minutes: Sequence[float] = MINUTES,
    known: str = "last",
    seeds: Sequence[int] = (0,),
    wiener: bool = True,
    device: str = "auto",
    progress: Progress | None = None,
) -> list[Score]:
    """Score bases on the last fifth of each day, fine-tuned on some minutes of the day before it.

    With the last ones, as if someone had calibrated and then begun: what was recorded until the last fifth
    for as long as the longest of `minutes` gives the read-in by its spikes, and behaviour is known for the
    last `minutes` of that. With the first ones, the same of how the day began, as if someone had then gone
    on without calibrating again. 0 minutes are spikes only.

    Args:
        paths: sessions that no base was trained on.
        bases: networks; all of one bin width and with the same outputs.
        minutes: of labels, 0 or more, in rising order.
        known: which minutes of a day, see `KNOWN`.
        seeds: of fine-tuning.
        wiener: whether to put a Wiener filter beside them that is fitted to the same minutes.
        device: to train on.
        progress: told how far the work is.

    Returns:
        A score for each day, base, number of minutes and seed, in this order; a filter has but one seed.
        Minutes that a day does not have before its last fifth are left out for that day.

    Raises:
        RtdecodeError: a base is no network, was trained on one of the sessions, or does not fit another base
            or a session.
    """
    report: Progress = progress if progress is not None else _ignore
    if not bases:
        raise RtdecodeError("no model to start from", mend="name one with --base, made by rtdecode pretrain")
    if not minutes or min(minutes) < 0 or list(minutes) != sorted(set(minutes)) or not seeds:
        raise RtdecodeError(f"minutes {list(minutes)} and seeds {list(seeds)}", mend="give minutes that rise")
    if known not in KNOWN:
        raise RtdecodeError(f"known minutes {known!r}", mend=f"give {' or '.join(KNOWN)}")
    where = chosen_device(device)
    nets_of = [networks_of(base) for base in bases]
    first = bases[0]
    for base in bases[1:]:
        if (base.bin_width_s, base.output_names) != (first.bin_width_s, first.output_names):
            raise RtdecodeError(
                f"bases of {1e3 * first.bin_width_s:g} and {1e3 * base.bin_width_s:g} ms, outputs "
                f"{', '.join(first.output_names)} and {', '.join(base.output_names)}",
                mend="evaluate them one by one",
            )
    days = read_all(paths, first.bin_width_s, first.output_names)
    for base in bases:
        for day in days:
            _check_unseen(base, day)

    n_done, scores = 0, []
    n_all = len(days) * (len(bases) * len(seeds) + wiener) * len(minutes)
    for day in days:
        calibration = _Calibration(day, minutes, known)
        for base, nets in zip(bases, nets_of, strict=True):
            for m in calibration.minutes:
                for seed in seeds if m else seeds[:1]:
                    report(f"{day.session.name}: {base.kind}, {m:g} min", min(1.0, n_done / n_all))
                    scores.append(_tuned(calibration, base, nets, m, seed, where))
                    n_done += 1
        for m in calibration.minutes if wiener else ():
            if m:
                scores.append(_filtered(calibration, m))
            n_done += 1
    report("done", 1.0)
    return scores


class _Calibration:
    """What is known of a day when its last fifth begins."""

    def __init__(self, day: LabelledSession, minutes: Sequence[float], known: str) -> None:
        self.day, self.known = day, known
        before, self.held_out = chronological_split(day.known, HOLDOUT)
        self._first, self._stop = (int(np.flatnonzero(before)[end]) for end in (0, -1))
        self._stop += 1
        self.minutes = [m for m in minutes if self._bins(m) <= self._stop - self._first]
        self.spikes = self.labelled(max((m for m in self.minutes if m), default=MINUTES[-1]))

    def labelled(self, minutes: float) -> slice:
        """The bins whose behaviour is known, as many as there are of them."""
        n = min(self._bins(minutes), self._stop - self._first)
        if self.known == "first":
            return slice(self._first, self._first + n)
        return slice(self._stop - n, self._stop)

    def _bins(self, minutes: float) -> int:
        return round(minutes * 60.0 / self.day.binned.bin_width_s)


def _tuned(
    calibration: _Calibration,
    base: ModelArtifact,
    nets: Sequence[Network],
    minutes: float,
    seed: int,
    where: torch.device,
) -> Score:
    started, day = time.perf_counter(), calibration.day
    name, counts = day.session.name, day.binned.counts
    own = [copy.deepcopy(net) for net in nets]
    take_up(own, name, counts[calibration.spikes], base.bin_width_s, where=str(day.path))
    if minutes:
        bins = calibration.labelled(minutes)
        adapt(
            own,
            name,
            counts[bins],
            day.targets[bins],
            base.bin_width_s,
            seed=seed,
            device=where,
            progress=_silent,
        )
    fitted = export_members(own, name, base.bin_width_s, base.outputs)
    seconds = time.perf_counter() - started
    trained = tuple(str(each["name"]) for each in base.provenance.get("sessions", ()))
    return _scored(calibration, fitted, base.kind, base.model_id, trained, minutes, seed, seconds)


def _filtered(calibration: _Calibration, minutes: float) -> Score:
    """A Wiener filter of the same minutes."""
    started, day = time.perf_counter(), calibration.day
    bins, bin_width_s = calibration.labelled(minutes), day.binned.bin_width_s
    learnt = np.zeros_like(day.known)
    learnt[bins] = day.known[bins]
    outputs = describe_outputs([day], [learnt])
    fitted = wiener_of_today(day.binned.counts[bins], day.targets[bins], outputs, bin_width_s)
    seconds = time.perf_counter() - started
    return _scored(calibration, fitted, "wiener", None, (day.session.name,), minutes, 0, seconds)


def _scored(
    calibration: _Calibration,
    fitted: ModelArtifact,
    kind: str,
    model: str | None,
    trained: tuple[str, ...],
    minutes: float,
    seed: int,
    seconds: float,
) -> Score:
    day = calibration.day
    values = np.empty(day.targets.shape, np.float32)
    load_decoder(fitted).run(day.binned.counts, values)
    held_out = calibration.held_out
    return Score(
        kind=kind,
        model=model,
        train=trained,
        test=day.session.name,
        minutes=minutes,
        known=calibration.known,
        seed=seed,
        outputs=day.names,
        r2=r2(values[held_out], day.targets[held_out]),
        pcc=pcc(values[held_out], day.targets[held_out]),
        seconds=seconds,
    )


def _check_unseen(base: ModelArtifact, day: LabelledSession) -> None:
    if day.session.n_channels != base.n_channels:
        raise RtdecodeError(
            f"has {day.session.n_channels} channels, and the base {base.n_channels}",
            where=str(day.path),
            mend="name a base of the same array",
        )
    for output, units in zip(base.outputs, day.units, strict=True):
        if output.units != units:
            raise RtdecodeError(
                f"{output.name} is in {units!r}, and in {output.units!r} for the base",
                where=str(day.path),
                mend="name a base of the same units",
            )
    for seen in base.provenance.get("sessions", ()):
        if seen.get("sha256") == day.sha256 and not seen.get("validation"):
            raise RtdecodeError(
                f"the base {base.model_id} was trained on this session",
                where=str(day.path),
                mend="leave it out here, or pretrain without it",
            )


def _silent(_done: float) -> None:
    pass


def _ignore(_what: str, _done: float) -> None:
    pass
