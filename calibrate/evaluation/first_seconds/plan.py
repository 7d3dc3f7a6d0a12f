"""The jobs of a first-seconds evaluation: one for each day, model and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rtdecode.calibrate.adaptation import interpolation
from rtdecode.calibrate.adaptation.finetune_settings import FINETUNING
from rtdecode.calibrate.adaptation.ladder import RUNGS, TRAINED
from rtdecode.calibrate.data.sessions import LabelledSession
from rtdecode.calibrate.data.split_session import SplitSession
from rtdecode.calibrate.evaluation.bases import Base, check_bases, check_new_day
from rtdecode.calibrate.evaluation.cache import id_of
from rtdecode.calibrate.fitting.fit import MIN_HOLDOUT_S
from rtdecode.calibrate.fitting.fitters import FITTERS, check_installed
from rtdecode.calibrate.fitting.training_set import MIN_TRAIN_S, FitSettings
from rtdecode.calibrate.training.settings import TrainingSettings
from rtdecode.errors import RtdecodeError
from rtdecode.models.kinds.registry import NETWORKS

PROTOCOL = "first-seconds"

#: 5,000 bins of 64 ms, as Makin et al. 2018 (J. Neural Eng. 15) learn from.
SECONDS = 320.0

KINDS = tuple(FITTERS)

#: Of `calibrate`; intended velocities (`refit`) are no behaviour to score against.
SCORED_RUNGS = tuple(rung for rung in RUNGS if rung != "refit")
DEFAULT_RUNGS = ("unsup", "full")

#: Version of the computation; to be raised whenever the same job would give other numbers.
EDITION = 1


@dataclass(frozen=True, kw_only=True)
class FirstSecondsSettings:
    """What to evaluate.

    Attributes:
        seconds: labelled time that is learnt from.
        bin_width_s: seconds.
        outputs: names of behaviour columns; None for all of the first day's.
        kinds: learnt from scratch, some of `KINDS`.
        rungs: by which each base is calibrated, some of `SCORED_RUNGS`.
        seeds: random seeds of training.
        device: to train on, such as "cpu"; "auto": a GPU if there is one.
        fit: how a model is learnt from scratch, as `fit` does it.
        finetune: how a base is trained, as `calibrate` does it.
    """

    seconds: float = SECONDS
    bin_width_s: float
    outputs: tuple[str, ...] | None = None
    kinds: Sequence[str] = KINDS
    rungs: Sequence[str] = DEFAULT_RUNGS
    seeds: Sequence[int] = (0,)
    device: str = "auto"
    fit: FitSettings = field(default_factory=FitSettings)
    finetune: TrainingSettings = FINETUNING


@dataclass(frozen=True, kw_only=True)
class FirstSecondsJob:
    """One model to learn from the first seconds of one day, and to score on the rest.

    Attributes:
        kind: of the model.
        rung: by which the base is calibrated; None for a model from scratch.
        test: session file of the day, absolute.
        test_sha256: of that file.
        session: name of the day.
        base: file of the network to start from, absolute; None from scratch.
        base_sha256, model: SHA-256 of that file, id of the model; None from scratch.
        train: names of the sessions that the base was trained on; from scratch, the day itself.
        bin_width_s: seconds.
        outputs: names of behaviour columns.
        seconds: labelled time that is learnt from.
        seed: random seed of training.
        device: to train on, see `FirstSecondsSettings`; the worker resolves "auto".
        fit, finetune: see `FirstSecondsSettings`.
    """

    kind: str
    rung: str | None
    test: Path
    test_sha256: str
    session: str
    base: Path | None
    base_sha256: str | None
    model: str | None
    train: tuple[str, ...]
    bin_width_s: float
    outputs: tuple[str, ...]
    seconds: float
    seed: int
    device: str
    fit: FitSettings
    finetune: TrainingSettings

    @property
    def id(self) -> str:
        """16 hex digits of everything that determines the result; paths and names of files do not."""
        return id_of(self.described())

    @property
    def is_trained(self) -> bool:
        """Whether a network is trained, with a random seed and on a device."""
        return self.rung in TRAINED if self.base else self.kind in NETWORKS

    def described(self) -> dict[str, Any]:
        """Everything that determines the result. Its keys do not change, so that cached jobs stay valid."""
        names = ("kind", "rung", "test_sha256", "base_sha256", "model", "bin_width_s", "outputs", "seconds")
        described = {name: getattr(self, name) for name in names}
        return described | {
            "seed": self.seed, "device": self.device, "protocol": PROTOCOL, "edition": EDITION,
            "recipe": self._recipe(),
        }  # fmt: skip

    @property
    def model_name(self) -> str:
        """Of the model in tables: its kind, and the rung from a base."""
        return self.kind if self.rung is None else f"{self.kind}, base, {self.rung}"

    @property
    def name(self) -> str:
        """Description for messages."""
        model = f" {self.model}" if self.model is not None else ""
        return f"{self.session}: {self.model_name}{model}, seed {self.seed}"

    def as_json(self) -> dict[str, Any]:
        """As `rtdecode evaluate --json` prints it, without scores."""
        return {
            "kind": self.kind,
            "causal": True,
            "protocol": PROTOCOL,
            "model": self.model,
            "train": list(self.train),
            "test": [self.session],
            "first_s": self.seconds,
            "rung": self.rung,
            "seed": self.seed,
            "direction": "spikes to behaviour",
            "outputs": list(self.outputs),
        }

    def _recipe(self) -> dict[str, Any]:
        """Settings of the training as JSON; {} without."""
        if not self.is_trained:
            return {}
        if self.base is None:
            return {"sizes": asdict(self.fit.sizes), "training": self.fit.training.recorded(self.seed)}
        nearness = [interpolation.HALF_S, interpolation.SOUND]
        return self.finetune.recorded(self.seed) | {"nearness": nearness}


def plan(
    days: Sequence[LabelledSession], bases: Sequence[Base], settings: FirstSecondsSettings
) -> list[FirstSecondsJob]:
    """All jobs, by day, model and seed, in this order; what is not trained has one seed only.

    Args:
        days: sessions in the bins and with the outputs of the bases.
        bases: pretrained networks; they passed `check_settings`.
        settings: what to evaluate.

    Raises:
        RtdecodeError: a base was trained on one of the days, or does not fit it; a day is too short.
    """
    for day in days:
        for base in bases:
            check_new_day(base.artifact, day)
        first_seconds(day, settings.seconds)
    jobs: list[FirstSecondsJob] = []
    for day in days:
        common: dict[str, Any] = {
            "test": day.path.resolve(), "test_sha256": day.sha256, "session": day.session.name,
            "bin_width_s": day.binned.bin_width_s, "outputs": day.names, "seconds": settings.seconds,
            "fit": settings.fit, "finetune": settings.finetune,
        }  # fmt: skip
        models: list[dict[str, Any]] = [
            {
                "kind": kind, "rung": None, "base": None, "base_sha256": None, "model": None,
                "train": (day.session.name,),
            }
            for kind in settings.kinds
        ]  # fmt: skip
        models += [
            {
                "kind": base.artifact.kind, "rung": rung, "base": base.path, "base_sha256": base.sha256,
                "model": base.artifact.model_id, "train": base.trained_on,
            }
            for base in bases
            for rung in settings.rungs
        ]  # fmt: skip
        for model in models:
            untrained = FirstSecondsJob(seed=settings.seeds[0], device="cpu", **common, **model)
            if not untrained.is_trained:
                jobs.append(untrained)
                continue
            jobs += [
                FirstSecondsJob(seed=seed, device=settings.device, **common, **model)
                for seed in settings.seeds
            ]
    return jobs


def check_settings(bases: Sequence[Base], settings: FirstSecondsSettings) -> None:
    """Refuse settings that no plan can be made of.

    Raises:
        RtdecodeError: there is no model, an unknown kind or rung, or no seed; there are too few seconds; a
            base is not a causal network, or has another bin width or other outputs.
    """
    if not settings.kinds and not bases:
        raise RtdecodeError(
            f"{PROTOCOL} evaluation needs a model", fix="name kinds with --kinds, or a model with --base"
        )
    for option, given, known in (
        ("--kinds", settings.kinds, KINDS),
        ("--rungs", settings.rungs, SCORED_RUNGS),
    ):
        if unknown := [name for name in given if name not in known]:
            raise RtdecodeError(
                f"cannot score {', '.join(unknown)}", where=option, fix=f"give some of {', '.join(known)}"
            )
    if not settings.seeds:
        raise RtdecodeError(f"{PROTOCOL} evaluation needs a seed", fix="give --seeds 1 or more")
    if not MIN_TRAIN_S <= settings.seconds < np.inf:
        raise RtdecodeError(
            f"cannot learn from {settings.seconds:g} s",
            where="--seconds",
            fix=f"give {MIN_TRAIN_S:g} or more, such as {SECONDS:g}",
        )
    for kind in settings.kinds:
        check_installed(kind)
    check_bases([base.artifact for base in bases], PROTOCOL)
    for base in (base.artifact for base in bases[:1]):
        if base.bin_width_s != settings.bin_width_s:
            raise RtdecodeError(
                f"the base has bins of {1e3 * base.bin_width_s:g} ms, not {1e3 * settings.bin_width_s:g}",
                where="--bin-width",
                fix="leave it out",
            )
        if settings.outputs is not None and base.output_names != settings.outputs:
            raise RtdecodeError(
                f"the base decodes {', '.join(base.output_names)}, not {', '.join(settings.outputs)}",
                where="--outputs",
                fix="leave it out",
            )


def first_seconds(day: LabelledSession, seconds: float) -> SplitSession:
    """Cut a day in time: its first labelled bins for training, all later ones for testing.

    Raises:
        RtdecodeError: there is not enough after them to score.
    """
    rows, width_s = np.flatnonzero(day.labelled_bins), day.binned.bin_width_s
    n = round(seconds / width_s)
    if (len(rows) - n) * width_s < MIN_HOLDOUT_S:
        raise RtdecodeError(
            f"has {len(rows) * width_s:.0f} s of spikes with behaviour, of which learning from the first "
            f"{seconds:g} s leaves too little to score",
            where=str(day.path),
            fix="leave it out, or give fewer --seconds",
        )
    training, test = np.zeros((2, len(day.targets)), np.bool_)
    training[rows[:n]] = True
    test[rows[n:]] = True
    return SplitSession(day, day.binned.counts, day.targets, training, test)
