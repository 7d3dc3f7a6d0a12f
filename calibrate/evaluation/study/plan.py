"""The jobs of the study: one for each network or filter, day, direction and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rtdecode.calibrate.evaluation.cache import id_of
from rtdecode.calibrate.evaluation.study.rows import (
    CAUSALITIES,
    CROSS_DAY,
    DECODING,
    DIRECTIONS,
    KINDS,
    SINGLE_DAY,
)
from rtdecode.errors import RtdecodeError

PROTOCOLS = (SINGLE_DAY, CROSS_DAY)
CHRONOLOGICAL, RANDOM = "chronological", "random"
SPLITS = (CHRONOLOGICAL, RANDOM)

#: Version of the computation; to be raised whenever the same job would give other numbers.
EDITION = 2


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """What to compare.

    Attributes:
        protocols: SINGLE_DAY, CROSS_DAY or both.
        splits: of a single day: CHRONOLOGICAL, RANDOM or both.
        kinds: of `rows.KINDS`.
        causalities: of `rows.CAUSALITIES`.
        directions: values of `rows.DIRECTIONS`.
        seeds: random seeds of training.
        bin_width_s: seconds.
        outputs: names of behaviour columns.
        steps: training batches of each network.
        members: networks in each ensemble.
    """

    protocols: Sequence[str] = PROTOCOLS
    splits: Sequence[str] = (CHRONOLOGICAL,)
    kinds: Sequence[str] = KINDS
    causalities: Sequence[str] = ("causal", "offline")
    directions: Sequence[str] = tuple(DIRECTIONS.values())
    seeds: Sequence[int] = (0,)
    bin_width_s: float
    outputs: tuple[str, ...]
    steps: int
    members: int


@dataclass(frozen=True, kw_only=True)
class Job:
    """One network or filter to train and to score.

    Attributes:
        protocol, split, kind, direction, seed: see `rows.Row`.
        causality: of `rows.CAUSALITIES`.
        train: session files to train on; () for a pretrained model.
        test: session file to score on.
        bin_width_s: seconds.
        outputs: names of behaviour columns.
        steps: training batches of a network.
        members: networks in the ensemble.
        base: file of a pretrained model to be scored zero-shot; None to train one.
    """

    protocol: str
    split: str | None
    kind: str
    causality: str
    direction: str
    seed: int
    train: tuple[Path, ...]
    test: Path
    bin_width_s: float
    outputs: tuple[str, ...]
    steps: int
    members: int
    base: Path | None = None

    def id(
        self, digests: Mapping[Path, str], recipe: Mapping[str, Any] | None = None, edition: int = EDITION
    ) -> str:
        """16 hex digits of everything that determines the result; paths and names of files do not.

        Args:
            digests: SHA-256 of each file.
            recipe: how such a network is built and trained, see `recipes.recipe`.
            edition: version of the computation.
        """
        described: dict[str, Any] = asdict(self) | {
            "edition": edition,
            "recipe": dict(recipe or {}),
            "train": [digests[path] for path in self.train],
            "test": digests[self.test],
            "base": digests[self.base] if self.base is not None else None,
        }
        # The key of before, so that cached jobs stay valid.
        described["form"] = described.pop("causality")
        return id_of(described)

    @property
    def name(self) -> str:
        """Description for messages."""
        what = f"{self.kind} {self.causality}" + (" pretrained" if self.base is not None else "")
        return f"{self.protocol} {self.test.stem}: {what}, {self.direction}, seed {self.seed}"


@dataclass(frozen=True)
class Base:
    """A pretrained model to be scored zero-shot.

    Attributes:
        path: of its file.
        causality: of `rows.CAUSALITIES`.
        direction: that it was trained for.
    """

    path: Path
    causality: str
    direction: str


def plan(sessions: Sequence[Path], settings: StudySettings, bases: Sequence[Base] = ()) -> list[Job]:
    """All jobs; within a session those that take longest come first.

    Args:
        sessions: in the order of their days. Across days, each session from the third on is a test day of
            models trained on the two before it.
        settings: what to compare.
        bases: pretrained models, scored on the test days across days, each in its causality and direction.

    Raises:
        RtdecodeError: a setting is unknown, there are fewer than three sessions to compare across days, or
            the settings exclude a pretrained model.
    """
    _check("protocol", settings.protocols, PROTOCOLS)
    _check("split", settings.splits, SPLITS)
    _check("kind", settings.kinds, KINDS)
    _check("causality", settings.causalities, tuple(CAUSALITIES))
    _check("direction", settings.directions, tuple(DIRECTIONS.values()))
    across = CROSS_DAY in settings.protocols
    if across and len(sessions) < 3:
        raise RtdecodeError(
            f"{CROSS_DAY} needs two sessions to train on and one to test on, got {len(sessions)}",
            where="--protocol",
            fix=f"name three or more, in the order of their days, or give --protocol {SINGLE_DAY}",
        )
    for base in bases:
        _check_included(base, settings)
    jobs: list[Job] = []
    for seed in settings.seeds:
        for i, day in enumerate(sessions):
            tests: list[tuple[str, str | None, tuple[Path, ...]]] = []
            if SINGLE_DAY in settings.protocols:
                tests += [(SINGLE_DAY, split, (day,)) for split in settings.splits]
            if across and i >= 2:
                tests.append((CROSS_DAY, None, tuple(sessions[i - 2 : i])))
            common: dict[str, Any] = {
                "seed": seed, "test": day, "bin_width_s": settings.bin_width_s, "outputs": settings.outputs,
                "steps": settings.steps, "members": settings.members,
            }  # fmt: skip
            for protocol, split, train in tests:
                jobs += [
                    Job(
                        protocol=protocol, split=split, kind=kind, causality=causality,
                        direction=direction, train=train, **common,
                    )
                    for kind in reversed(settings.kinds)
                    for causality in reversed(settings.causalities)
                    for direction in settings.directions
                    if exists(kind, causality, direction) and (seed == settings.seeds[0] or trains(kind))
                ]  # fmt: skip
            if i >= 2 and seed == settings.seeds[0]:
                jobs += [
                    Job(
                        protocol=CROSS_DAY, split=None, kind="alignnet", causality=base.causality,
                        direction=base.direction, train=(), base=base.path, **common,
                    )
                    for base in bases
                ]  # fmt: skip
    return jobs


def trains(kind: str) -> bool:
    """Whether the result of a kind depends on the seed."""
    return kind not in ("wiener", "kalman")


def exists(kind: str, causality: str, direction: str) -> bool:
    """Whether the study has such a decoder.

    AlignNet alone has 2-D convolutions. A Kalman filter decodes causally; its observation model, which
    predicts spikes from behaviour, uses future velocities and so is offline.
    """
    if causality == "offline-2d":
        return kind == "alignnet"
    if kind == "kalman":
        return causality == ("causal" if direction == DECODING else "offline")
    return True


def _check_included(base: Base, settings: StudySettings) -> None:
    if CROSS_DAY not in settings.protocols:
        raise RtdecodeError(
            "pretrained models are scored across days", where="--base", fix=f"add --protocol {CROSS_DAY}"
        )
    asked = ("alignnet", base.causality, base.direction)
    included = (settings.kinds, settings.causalities, settings.directions)
    if not all(one in some for one, some in zip(asked, included, strict=True)):
        raise RtdecodeError(
            f"is an alignnet, {base.causality}, {base.direction}, which is not among the kinds, causalities "
            "and directions of the study",
            where=str(base.path),
            fix="add them, or leave this base out",
        )


def _check(what: str, asked: Sequence[str], available: Sequence[str]) -> None:
    wrong = [name for name in asked if name not in available]
    if wrong or not asked:
        raise RtdecodeError(
            f"there is no such {what}: {', '.join(wrong) or 'none'}", fix=f"use {', '.join(available)}"
        )
