"""The jobs of a few-shot evaluation: one for each day, base, number of labelled minutes and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.adaptation import interpolation
from rtdecode.calibrate.adaptation.finetune_settings import FINETUNING, finetuning
from rtdecode.calibrate.data.sessions import LabelledSession
from rtdecode.calibrate.data.splits import LABELLED_PARTS, LAST_FIFTH, few_shot_split
from rtdecode.calibrate.evaluation.bases import Base, check_bases, check_new_day
from rtdecode.calibrate.evaluation.cache import id_of
from rtdecode.errors import RtdecodeError

PROTOCOL = "few-shot"
MINUTES = (0.0, 0.5, 1.0, 2.0, 4.0)
WIENER = "wiener"

#: Version of the computation; to be raised whenever the same job would give other numbers.
EDITION = 1


@dataclass(frozen=True)
class FewShotSettings:
    """What to evaluate.

    Attributes:
        minutes: numbers of labelled minutes, increasing; 0: spikes only.
        labelled: part of the day that is labelled, one of `LABELLED_PARTS`: "last" (just before the test
            fifth) or "first".
        seeds: random seeds of the fine-tuning.
        wiener: whether to fit a Wiener filter to the same minutes for comparison.
        device: to train on, such as "cpu"; "auto": a GPU if there is one.
        steps: batches of fine-tuning.
    """

    minutes: Sequence[float] = MINUTES
    labelled: str = LABELLED_PARTS[0]
    seeds: Sequence[int] = (0,)
    wiener: bool = True
    device: str = "auto"
    steps: int = FINETUNING.steps


@dataclass(frozen=True, kw_only=True)
class FewShotJob:
    """One model to adapt to one day and to score on it.

    Attributes:
        kind: "alignnet", "gru" or "wiener".
        test: session file of the day, absolute.
        test_sha256: of that file.
        session: name of the day.
        base: file of the network to start from, absolute; None for a filter.
        base_sha256, model: SHA-256 of that file, id of the model; None for a filter.
        train: names of the sessions that the base was trained on; for a filter, the day itself.
        bin_width_s: seconds.
        outputs: names of behaviour columns.
        minutes: labelled minutes; 0: spikes only.
        read_in_minutes: minutes of spikes that give a network its read-in; 0 for a filter, which has none.
        labelled: see `FewShotSettings`.
        seed: random seed of the fine-tuning.
        steps: batches of fine-tuning; 0 without.
        device: to train on, see `FewShotSettings`; the worker resolves "auto".
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
    labelled: str
    seed: int
    steps: int
    device: str

    @property
    def id(self) -> str:
        """16 hex digits of everything that determines the result.

        Paths and names of files and sessions do not.
        """
        return id_of(self.described())

    def described(self) -> dict[str, Any]:
        """Everything that determines the result. Its keys do not change, so that cached jobs stay valid."""
        names = ("test", "session", "base", "train", "labelled")
        described = {name: value for name, value in asdict(self).items() if name not in names}
        return described | {
            "known": self.labelled, "protocol": PROTOCOL, "edition": EDITION, "holdout": LAST_FIFTH,
            "recipe": self._recipe(),
        }  # fmt: skip

    @property
    def name(self) -> str:
        """Description for messages."""
        model = f" {self.model}" if self.model is not None else ""
        return f"{self.session}: {self.kind}{model}, {self.minutes:g} min, seed {self.seed}"

    def as_json(self) -> dict[str, Any]:
        """As `rtdecode evaluate --json` prints it, without scores."""
        return {
            "kind": self.kind,
            "causal": True,
            "protocol": PROTOCOL,
            "model": self.model,
            "train": list(self.train),
            "test": [self.session],
            "minutes": self.minutes,
            "known": self.labelled,
            "seed": self.seed,
            "direction": "spikes to behaviour",
            "outputs": list(self.outputs),
        }

    def _recipe(self) -> dict[str, Any]:
        """Settings of the fine-tuning as JSON; {} without."""
        if not self.steps:
            return {}
        n_bins = round(self.minutes * 60.0 / self.bin_width_s)
        training = finetuning(replace(FINETUNING, steps=self.steps), n_bins, self.bin_width_s)
        return training.recorded(self.seed) | {"nearness": [interpolation.HALF_S, interpolation.SOUND]}


def plan(
    days: Sequence[LabelledSession], bases: Sequence[Base], settings: FewShotSettings
) -> list[FewShotJob]:
    """All jobs, by day, base, number of minutes and seed, in this order; a filter has one seed only.

    Numbers of minutes that a day does not have before its last fifth are left out for that day.

    Args:
        days: sessions in the bins and with the outputs of the bases.
        bases: pretrained networks; they passed `check_settings`.
        settings: what to evaluate.

    Raises:
        RtdecodeError: a base was trained on one of the days, or does not fit it.
    """
    jobs: list[FewShotJob] = []
    for day in days:
        for base in bases:
            check_new_day(base.artifact, day)
    for day in days:
        time = few_shot_split(day.labelled_bins, day.binned.bin_width_s, settings.labelled)
        available = [m for m in settings.minutes if time.has(m)]
        common: dict[str, Any] = {
            "test": day.path.resolve(), "test_sha256": day.sha256, "session": day.session.name,
            "bin_width_s": day.binned.bin_width_s, "outputs": day.names, "labelled": settings.labelled,
        }  # fmt: skip
        read_in = max((m for m in available if m), default=MINUTES[-1])
        for base in bases:
            own: dict[str, Any] = common | {
                "kind": base.artifact.kind, "base": base.path, "base_sha256": base.sha256,
                "model": base.artifact.model_id, "read_in_minutes": read_in,
                "train": base.trained_on,
            }  # fmt: skip
            for m in available:
                jobs += [
                    FewShotJob(
                        minutes=m,
                        seed=seed,
                        steps=settings.steps if m else 0,
                        device=settings.device if m else "cpu",
                        **own,
                    )
                    for seed in (settings.seeds if m else settings.seeds[:1])
                ]
        own = common | {
            "kind": WIENER, "base": None, "base_sha256": None, "model": None,
            "train": (day.session.name,), "read_in_minutes": 0.0, "seed": 0, "steps": 0, "device": "cpu",
        }  # fmt: skip
        jobs += [FewShotJob(minutes=m, **own) for m in available if settings.wiener and m]
    return jobs


def check_settings(bases: Sequence[ModelArtifact], settings: FewShotSettings) -> None:
    """Refuse settings that no plan can be made of.

    Raises:
        RtdecodeError: there is no base, one is not a causal network, or they differ in bin width or outputs;
            the minutes do not increase, there is no seed, or `labelled` is unknown.
    """
    minutes = list(settings.minutes)
    if not bases:
        raise RtdecodeError(
            "few-shot evaluation needs a model to start from",
            fix="name one with --base, made by rtdecode pretrain",
        )
    if not minutes or min(minutes) < 0 or minutes != sorted(set(minutes)):
        raise RtdecodeError(
            f"minutes must be increasing and not negative, got {minutes}",
            fix="give --minutes such as 0,0.5,1",
        )
    if not settings.seeds:
        raise RtdecodeError("few-shot evaluation needs a seed", fix="give --seeds 1 or more")
    if settings.labelled not in LABELLED_PARTS:
        raise RtdecodeError(
            f"the labelled minutes cannot be {settings.labelled!r}", fix=f"give {' or '.join(LABELLED_PARTS)}"
        )
    check_bases(bases, PROTOCOL)
