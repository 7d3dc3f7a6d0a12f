"""What a few-shot evaluation has to compute: one job for each day, base, number of minutes and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.adaptation import interpolation
from rtdecode.calibrate.adaptation.finetune_settings import FinetuneSettings
from rtdecode.calibrate.data.checks import check_channels, check_unseen, output_columns
from rtdecode.calibrate.data.sessions import LabelledSession
from rtdecode.calibrate.data.splits import LABELLED_PARTS, LAST_FIFTH, few_shot_split
from rtdecode.calibrate.evaluation.cache import id_of
from rtdecode.errors import RtdecodeError
from rtdecode.models.ensemble.load import networks_of

PROTOCOL = "few-shot"
MINUTES = (0.0, 0.5, 1.0, 2.0, 4.0)
WIENER = "wiener"

#: Changes whenever the same job would give other numbers.
EDITION = 1


@dataclass(frozen=True, kw_only=True)
class Base:
    """A network that days are decoded from.

    Attributes:
        path: of its file, absolute.
        sha256: of the file.
        artifact: what it holds.
    """

    path: Path
    sha256: str
    artifact: ModelArtifact


@dataclass(frozen=True, kw_only=True)
class FewShotJob:
    """One model of one day, to be made and to be scored.

    Attributes:
        kind: "alignnet", "gru" or "wiener".
        test: file of the day, absolute.
        test_sha256: of it.
        session: name of the day.
        base: file of the network to start from, absolute; None for a filter.
        base_sha256, model: of it: SHA-256 of the file, id of the model.
        train: names of the sessions that are learnt from before the day; for a filter, the day itself.
        bin_width_s: seconds.
        outputs: names of behaviour columns.
        minutes: of labels; 0: spikes only.
        read_in_minutes: whose spikes give a network its read-in; 0 for a filter, which has none.
        known: which minutes, see `LABELLED_PARTS`.
        seed: of the fine-tuning.
        steps: batches of it; 0 where nothing is fine-tuned.
        device: to train on: "auto" is whatever the machine has that does the job.
    """

    kind: str
    test: Path
    test_sha256: str
    session: str
    base: Path | None
    base_sha256: str | None
    model: str | None
    train: tuple[str, ...]
    bin_width_s: float
    outputs: tuple[str, ...]
    minutes: float
    read_in_minutes: float
    known: str
    seed: int
    steps: int
    device: str

    @property
    def id(self) -> str:
        """16 hex digits of everything that decides over the result.

        Where files lie and what they and the sessions are called does not.
        """
        told = ("test", "session", "base", "train")
        described = {name: value for name, value in asdict(self).items() if name not in told}
        return id_of(
            described
            | {"protocol": PROTOCOL, "edition": EDITION, "holdout": LAST_FIFTH, "recipe": self._recipe()}
        )

    @property
    def name(self) -> str:
        """For people."""
        model = f" {self.model}" if self.model is not None else ""
        return f"{self.session}: {self.kind}{model}, {self.minutes:g} min, seed {self.seed}"

    def _recipe(self) -> dict[str, Any]:
        """How it is fine-tuned, as JSON can hold it; {} where it is not."""
        if not self.steps:
            return {}
        n_bins = round(self.minutes * 60.0 / self.bin_width_s)
        training = FinetuneSettings(steps=self.steps).training(n_bins, self.bin_width_s)
        return training.recorded(self.seed) | {"nearness": [interpolation.HALF_S, interpolation.SOUND]}


def plan(
    days: Sequence[LabelledSession],
    bases: Sequence[Base],
    *,
    minutes: Sequence[float],
    known: str,
    seeds: Sequence[int],
    wiener: bool,
    device: str,
    steps: int,
) -> list[FewShotJob]:
    """All jobs, by day, base, number of minutes and seed, in this order; a filter has but one seed.

    Minutes that a day does not have before its last fifth are left out for that day.

    Args:
        days: as they were read, in the bins and with the outputs of the bases.
        bases, minutes, known, seeds, wiener, device, steps: see `few_shot`; they went through `check_asked`.

    Raises:
        RtdecodeError: a base was trained on one of the days, or does not fit it.
    """
    jobs: list[FewShotJob] = []
    for day in days:
        for base in bases:
            _check(base.artifact, day)
    for day in days:
        time = few_shot_split(day.labelled_bins, day.binned.bin_width_s, known)
        there = [m for m in minutes if time.has(m)]
        common: dict[str, Any] = {
            "test": day.path.resolve(), "test_sha256": day.sha256, "session": day.session.name,
            "bin_width_s": day.binned.bin_width_s, "outputs": day.names, "known": known,
        }  # fmt: skip
        read_in = max((m for m in there if m), default=MINUTES[-1])
        for base in bases:
            own: dict[str, Any] = common | {
                "kind": base.artifact.kind, "base": base.path, "base_sha256": base.sha256,
                "model": base.artifact.model_id, "train": _trained_on(base.artifact),
                "read_in_minutes": read_in,
            }  # fmt: skip
            for m in there:
                jobs += [
                    FewShotJob(
                        minutes=m,
                        seed=seed,
                        steps=steps if m else 0,
                        device=device if m else "cpu",
                        **own,
                    )
                    for seed in (seeds if m else seeds[:1])
                ]
        own = common | {
            "kind": WIENER, "base": None, "base_sha256": None, "model": None,
            "train": (day.session.name,), "read_in_minutes": 0.0, "seed": 0, "steps": 0, "device": "cpu",
        }  # fmt: skip
        jobs += [FewShotJob(minutes=m, **own) for m in there if wiener and m]
    return jobs


def check_asked(
    bases: Sequence[ModelArtifact], minutes: Sequence[float], known: str, seeds: Sequence[int]
) -> None:
    """Refuse what no plan can be made of.

    Raises:
        RtdecodeError: no base or one that is no network, bases of several bin widths or outputs, minutes
            that do not rise or no such minutes.
    """
    if not bases:
        raise RtdecodeError("no model to start from", fix="name one with --base, made by rtdecode pretrain")
    if not minutes or min(minutes) < 0 or list(minutes) != sorted(set(minutes)) or not seeds:
        raise RtdecodeError(f"minutes {list(minutes)} and seeds {list(seeds)}", fix="give minutes that rise")
    if known not in LABELLED_PARTS:
        raise RtdecodeError(f"known minutes {known!r}", fix=f"give {' or '.join(LABELLED_PARTS)}")
    for base in bases:
        networks_of(base)
        if not base.causal:
            raise RtdecodeError(
                f"model {base.model_id} looks ahead in time, and few-shot decodes as serve does",
                fix="name a causal one, or score it by --protocol cross-day",
            )
    first = bases[0]
    for base in bases[1:]:
        if (base.bin_width_s, base.output_names) != (first.bin_width_s, first.output_names):
            raise RtdecodeError(
                f"bases of {1e3 * first.bin_width_s:g} and {1e3 * base.bin_width_s:g} ms, outputs "
                f"{', '.join(first.output_names)} and {', '.join(base.output_names)}",
                fix="evaluate them one by one",
            )


def _trained_on(base: ModelArtifact) -> tuple[str, ...]:
    return tuple(str(each["name"]) for each in base.provenance.get("sessions", ()))


def _check(base: ModelArtifact, day: LabelledSession) -> None:
    where = str(day.path)
    check_channels(base, day.session.n_channels, where)
    output_columns(base.outputs, day.names, day.units, where)
    # The day is to be new to the base: any of it in training would add to the minutes.
    check_unseen(base, day.sha256, where)
