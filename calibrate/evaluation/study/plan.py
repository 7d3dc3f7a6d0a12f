"""What the study has to compute: one job for each network or filter, day, direction and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rtdecode.calibrate.evaluation.cache import id_of
from rtdecode.calibrate.evaluation.study.rows import CROSS_DAY, DECODING, FORMS, KINDS, SIMULATION, SINGLE_DAY
from rtdecode.errors import RtdecodeError

PROTOCOLS = (SINGLE_DAY, CROSS_DAY)
CHRONOLOGICAL, RANDOM = "chronological", "random"
SPLITS = (CHRONOLOGICAL, RANDOM)
DIRECTIONS = (DECODING, SIMULATION)

#: Changes whenever the same job would give other numbers.
EDITION = 2


@dataclass(frozen=True, kw_only=True)
class Job:
    """One network or filter to train and to score.

    Attributes:
        protocol, split, kind, form, direction, seed: see `studyrows.Row`.
        train: session files to learn from; () for a pretrained model.
        test: session file to be scored on.
        bin_width_s: seconds.
        outputs: names of behaviour columns.
        steps: batches of a network's training.
        members: networks that are averaged.
        base: file of a pretrained model, to be scored as it is; None to train.
    """

    protocol: str
    split: str | None
    kind: str
    form: str
    direction: str
    seed: int
    train: tuple[Path, ...]
    test: Path
    bin_width_s: float
    outputs: tuple[str, ...]
    steps: int
    members: int
    base: Path | None = None

    def id(self, digests: Mapping[Path, str], recipe: Mapping[str, Any] | None = None) -> str:
        """16 hex digits of everything that decides over the result.

        Args:
            digests: SHA-256 of each file; where a file lies and what it is called does not matter.
            recipe: how such a network is made and trained, see `studysizes.recipe`.
        """
        described: dict[str, Any] = asdict(self) | {
            "edition": EDITION,
            "recipe": dict(recipe or {}),
            "train": [digests[path] for path in self.train],
            "test": digests[self.test],
            "base": digests[self.base] if self.base is not None else None,
        }
        return id_of(described)

    @property
    def name(self) -> str:
        """For people."""
        what = f"{self.kind} {self.form}" + (" pretrained" if self.base is not None else "")
        return f"{self.protocol} {self.test.stem}: {what}, {self.direction}, seed {self.seed}"


@dataclass(frozen=True)
class Base:
    """A pretrained model that is to be scored as it is.

    Attributes:
        path: of its file.
        form: of `studyrows.FORMS`, what it looks at.
        direction: that it was made for.
    """

    path: Path
    form: str
    direction: str


def plan(
    sessions: Sequence[Path],
    *,
    protocols: Sequence[str],
    splits: Sequence[str],
    kinds: Sequence[str],
    forms: Sequence[str],
    directions: Sequence[str],
    seeds: Sequence[int],
    bin_width_s: float,
    outputs: tuple[str, ...],
    steps: int,
    members: int,
    bases: Sequence[Base] = (),
) -> list[Job]:
    """All jobs, those that take long first within a session.

    Args:
        sessions: in the order of their days. Across days, each one from the third on is decoded by what the
            two before it teach.
        protocols, splits, kinds, forms, directions, seeds: which of them.
        bin_width_s, outputs, steps, members: of every job.
        bases: pretrained models, scored on the test days across days, each in its form and direction.

    Raises:
        RtdecodeError: something unknown is asked for, across days of fewer than three sessions, or a
            pretrained model that nothing asked for would score.
    """
    _check("protocol", protocols, PROTOCOLS)
    _check("split", splits, SPLITS)
    _check("kind", kinds, KINDS)
    _check("form", forms, tuple(FORMS))
    _check("direction", directions, DIRECTIONS)
    if CROSS_DAY in protocols and len(sessions) < 3:
        raise RtdecodeError(
            f"{len(sessions)} sessions: across days takes two to learn from and one to be scored on",
            where=f"--protocol {CROSS_DAY}",
            fix="name three or more, in the order of their days",
        )
    for base in bases:
        if CROSS_DAY not in protocols:
            raise RtdecodeError(
                "pretrained models are scored across days", where="--base", fix=f"add --protocol {CROSS_DAY}"
            )
        if "alignnet" not in kinds or base.form not in forms or base.direction not in directions:
            raise RtdecodeError(
                f"is an alignnet, {base.form}, {base.direction}, and the study is not of such",
                where=str(base.path),
                fix="add its kind, form and direction, or leave it out",
            )
    made: list[Job] = []
    form: dict[str, Any] = {
        "bin_width_s": bin_width_s, "outputs": outputs, "steps": steps, "members": members
    }  # fmt: skip
    for seed in seeds:
        for i, day in enumerate(sessions):
            tests: list[tuple[str, str | None, tuple[Path, ...]]] = []
            if SINGLE_DAY in protocols:
                tests += [(SINGLE_DAY, split, (day,)) for split in splits]
            if CROSS_DAY in protocols and i >= 2:
                tests.append((CROSS_DAY, None, tuple(sessions[i - 2 : i])))
            for protocol, split, train in tests:
                made += [
                    Job(
                        protocol=protocol, split=split, kind=kind, form=shape, direction=direction,
                        seed=seed, train=train, test=day, **form,
                    )
                    for kind in reversed(kinds)
                    for shape in reversed(forms)
                    for direction in directions
                    if exists(kind, shape, direction) and (seed == seeds[0] or trains(kind))
                ]  # fmt: skip
            if i >= 2 and seed == seeds[0]:
                made += [
                    Job(
                        protocol=CROSS_DAY, split=None, kind="alignnet", form=base.form,
                        direction=base.direction, seed=seed, train=(), test=day, base=base.path, **form,
                    )
                    for base in bases
                ]  # fmt: skip
    return made


def trains(kind: str) -> bool:
    """Whether a seed changes what comes out."""
    return kind not in ("wiener", "kalman")


def exists(kind: str, form: str, direction: str) -> bool:
    """Whether there is such a thing.

    2-D convolutions are AlignNet's. A Kalman filter decodes causally; what it takes spikes to be, given
    behaviour, holds the velocities to come and so is offline.
    """
    if form == "offline-2d":
        return kind == "alignnet"
    if kind == "kalman":
        return form == ("causal" if direction == DECODING else "offline")
    return True


def _check(what: str, asked: Sequence[str], known: Sequence[str]) -> None:
    wrong = [name for name in asked if name not in known]
    if wrong or not asked:
        raise RtdecodeError(f"no such {what}: {', '.join(wrong) or 'none'}", fix=f"use {', '.join(known)}")
