"""The paper's study, which `rtdecode evaluate --protocol single-day,cross-day` runs."""

from __future__ import annotations

import json as jsonlib
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rtdecode.cli.common import needs_training_packages, print_json, progress_bar, refuse_missing, table
from rtdecode.errors import RtdecodeError
from rtdecode.files import make_folder, replace_file

if TYPE_CHECKING:
    from rtdecode.calibrate.evaluation.study.tables import Block

DIRECTIONS = {"decode": "spikes to behaviour", "simulate": "behaviour to spikes"}
FORMS = ("causal", "offline")
DEFAULT_BIN_WIDTH_S = 0.02


def study(
    sessions: list[Path],
    output: Path,
    *,
    protocols: tuple[str, ...],
    kinds: tuple[str, ...] | None,
    bases: list[str],
    seeds: int,
    splits: tuple[str, ...] | None,
    forms: tuple[str, ...] | None,
    directions: tuple[str, ...] | None,
    bin_width_s: float | None,
    outputs: tuple[str, ...] | None,
    steps: int | None,
    members: int | None,
    workers: int | None,
    dask: str | None,
    json: bool,
) -> None:
    """Run it and write what it comes to; None stands for the default.

    Raises:
        RtdecodeError: an argument, a session or a base cannot be used, or some jobs gave no result (when
            everything else is written).
    """
    with needs_training_packages("the study", "evaluate"):
        from rtdecode.calibrate.data.sessions import read_all, synthetic_notes
        from rtdecode.calibrate.evaluation.study.learners import base_of
        from rtdecode.calibrate.evaluation.study.page import About
        from rtdecode.calibrate.evaluation.study.plan import CHRONOLOGICAL, plan
        from rtdecode.calibrate.evaluation.study.recipes import MEMBERS, STEPS
        from rtdecode.calibrate.evaluation.study.report import study_files
        from rtdecode.calibrate.evaluation.study.rows import KINDS
        from rtdecode.calibrate.evaluation.study.run import run_study
        from rtdecode.calibrate.evaluation.study.tables import cost_blocks, score_blocks
        from rtdecode.calibrate.training.checkpoint import versions
    from rtdecode.model_store import find_model
    from rtdecode.session.read import read_session

    if not set(directions or DIRECTIONS) <= set(DIRECTIONS):
        raise typer.BadParameter(f"give {' or '.join(DIRECTIONS)}", param_hint="--directions")
    if len(set(sessions)) < len(sessions):
        raise RtdecodeError("a session is named twice", fix="name each once, in the order of their days")
    if bin_width_s is None:
        counts = read_session(sessions[0]).counts
        bin_width_s = DEFAULT_BIN_WIDTH_S if counts is None else counts.bin_width_s
    with progress_bar() as progress:
        # All of them now: a session that does not fit should not be found out about after an hour.
        read = read_all(sessions, bin_width_s, outputs, progress=lambda what, done: progress(what, 0.0))
        jobs = plan(
            sessions,
            protocols=protocols,
            splits=splits or (CHRONOLOGICAL,),
            kinds=kinds or KINDS,
            forms=forms or FORMS,
            directions=[DIRECTIONS[name] for name in directions or DIRECTIONS],
            seeds=range(seeds),
            bin_width_s=bin_width_s,
            outputs=read[0].names,
            steps=steps or STEPS,
            members=members or MEMBERS,
            bases=[base_of(Path(find_model(name))) for name in bases],
        )
        make_folder(output)
        done = run_study(jobs, output, workers=workers, dask=dask, progress=progress)
    about = About(
        command=shlex.join(["rtdecode", *sys.argv[1:]]),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        versions=versions(),
        notes=synthetic_notes(read, 0),
        missing=done.missing,
    )
    replace_file(output / "results.json", (jsonlib.dumps(done.rows, indent=1) + "\n").encode())
    files = study_files(done.rows, output, about) if done.rows else {}
    for name, data in files.items():
        replace_file(output / name, data)
    if json:
        print_json(done.rows)
    else:
        for block in (*score_blocks(done.rows), *cost_blocks(done.rows)):
            _print(block)
        print(f"{len(done.rows)} jobs, {done.computed} of them now; written to {output}: {', '.join(files)}")
    refuse_missing(done.missing, len(jobs), output)


def _print(block: Block) -> None:
    print(block.title)
    print(table(block.headings, block.texts()))
    if block.note:
        print(block.note)
    print()
