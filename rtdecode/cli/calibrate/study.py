"""`rtdecode study`: the paper's comparison of decoders on the user's sessions."""

from __future__ import annotations

import json as jsonlib
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtdecode.cli.calibrate.bin_width import width_of_counts
from rtdecode.cli.common import (
    needs_packages,
    print_json,
    progress_bar,
    refuse_missing,
    split_names,
    table,
)
from rtdecode.cli.options import Dask, JobsFolder, Json, NWorkers, Outputs, Seeds, Sessions, chosen_workers
from rtdecode.errors import RtdecodeError
from rtdecode.files import make_folder, replace_file

if TYPE_CHECKING:
    from rtdecode.calibrate.evaluation.study.tables import Block


def study(
    sessions: Sessions,
    output: JobsFolder,
    protocol: Annotated[
        str, typer.Option(help="Protocols: single-day, cross-day or both, separated by a comma.")
    ] = "single-day,cross-day",
    kinds: Annotated[
        str,
        typer.Option(
            help="Kinds of decoder: wiener, kalman, gru, mlp, resnet, resnet-unet, alignnet or all."
        ),
    ] = "all",
    base: Annotated[
        list[str] | None,
        typer.Option(
            help="Model made by `rtdecode pretrain`, a file or a name, scored across days in its causality "
            "and direction; may be given several times."
        ),
    ] = None,
    causality: Annotated[
        str, typer.Option("--causality", "--forms", help="Causality: causal, offline and offline-2d.")
    ] = "causal,offline",
    directions: Annotated[
        str, typer.Option(help="Directions: decode (spikes to behaviour), simulate, or both.")
    ] = "decode,simulate",
    splits: Annotated[
        str, typer.Option(help="Splits of a single day: chronological, random, or both.")
    ] = "chronological",
    seeds: Seeds = 1,
    bin_width: Annotated[
        float | None,
        typer.Option(help="Bin width, s. Default: that of the first session's counts, or 0.02."),
    ] = None,
    outputs: Outputs = None,
    steps: Annotated[
        int | None, typer.Option(help="Number of training batches of each network. Default: 400.", min=1)
    ] = None,
    members: Annotated[
        int | None,
        typer.Option(help="Number of networks in the ensemble of each kind. Default: 1.", min=1, max=16),
    ] = None,
    workers: NWorkers = None,
    dask: Dask = None,
    json: Json = False,
) -> None:
    """Compare the paper's decoders, in both directions, within a day and across days.

    An interrupted study resumes when the same command is run again.
    """
    from rtdecode.calibrate.evaluation.study.rows import DIRECTIONS, KINDS

    chosen = split_names(directions) or ()
    if not set(chosen) <= set(DIRECTIONS):
        raise typer.BadParameter(
            f"must be {' or '.join(DIRECTIONS)}, not {directions}", param_hint="--directions"
        )
    with needs_packages("the study", "study", extra="train,study"):
        from rtdecode.calibrate.data.sessions import read_all, session_notes
        from rtdecode.calibrate.evaluation.study.frames import study_frames
        from rtdecode.calibrate.evaluation.study.learners import base_of
        from rtdecode.calibrate.evaluation.study.page import About
        from rtdecode.calibrate.evaluation.study.plan import StudySettings, plan
        from rtdecode.calibrate.evaluation.study.recipes import MEMBERS, STEPS
        from rtdecode.calibrate.evaluation.study.report import study_files
        from rtdecode.calibrate.evaluation.study.run import run_study
        from rtdecode.calibrate.evaluation.study.tables import cost_blocks, score_blocks
        from rtdecode.calibrate.training.checkpoint import versions

        runs_on = chosen_workers(workers, dask)
    from rtdecode.model_store import find_model

    if len(set(sessions)) < len(sessions):
        raise RtdecodeError("a session is named twice", fix="name each once, in the order of their days")
    make_folder(output)
    if bin_width is None:
        bin_width = width_of_counts(sessions[0])
    with progress_bar() as progress:
        # Read all sessions first: one that does not fit must not be refused after an hour.
        read = read_all(
            sessions, bin_width, split_names(outputs), progress=lambda what, done: progress(what, 0.0)
        )
        settings = StudySettings(
            protocols=split_names(protocol) or (),
            splits=split_names(splits) or (),
            kinds=KINDS if kinds == "all" else split_names(kinds) or (),
            causalities=split_names(causality) or (),
            directions=[DIRECTIONS[name] for name in chosen],
            seeds=range(seeds),
            bin_width_s=bin_width,
            outputs=read[0].names,
            steps=steps or STEPS,
            members=members or MEMBERS,
        )
        jobs = plan(sessions, settings, [base_of(Path(find_model(name))) for name in base or []])
        done = run_study(jobs, output, workers=runs_on, progress=progress)
    about = About(
        command=shlex.join(["rtdecode", *sys.argv[1:]]),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        versions=versions(),
        notes=session_notes(read, 0),
        missing=done.missing,
    )
    replace_file(output / "results.json", (jsonlib.dumps(done.results, indent=1) + "\n").encode())
    frames = study_frames(done.results)
    files = study_files(frames, output, about) if done.results else {}
    for name, data in files.items():
        replace_file(output / name, data)
    if json:
        print_json(done.results)
    else:
        for block in (*score_blocks(frames), *cost_blocks(frames)):
            _print(block)
        print(
            f"{len(done.results)} jobs, {done.computed} of them now; written to {output}: {', '.join(files)}"
        )
    refuse_missing(done.missing, len(jobs), output)


def _print(block: Block) -> None:
    print(block.title)
    print(table(block.headings, block.texts()))
    if block.note:
        print(block.note)
    print()
