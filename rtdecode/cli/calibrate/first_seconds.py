"""`rtdecode evaluate --protocol first-seconds`."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from rtdecode.cli.calibrate.bin_width import width_of_counts
from rtdecode.cli.common import needs_packages, print_json, progress_bar, refuse_missing, table
from rtdecode.cli.options import chosen_workers
from rtdecode.files import make_folder, replace_file


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options of the protocol; None is the default, and of `kinds` all without a base, none with one."""

    base: Sequence[str]
    kinds: tuple[str, ...] | None
    rungs: tuple[str, ...] | None
    seconds: float
    bin_width_s: float | None
    outputs: tuple[str, ...] | None
    reference: Path | None
    seeds: int
    device: str


def first_seconds(
    sessions: list[Path], output: Path, asked: Asked, workers: int | None, dask: str | None, json: bool
) -> None:
    """Score models on all of each day but its first seconds; write and print the scores."""
    if asked.rungs is not None and not asked.base:
        raise typer.BadParameter(
            "are of a model to calibrate. Fix: leave it out, or name one with --base", param_hint="--rungs"
        )
    with needs_packages("evaluating models", "evaluate"):
        from rtdecode.calibrate.evaluation.bases import read_bases
        from rtdecode.calibrate.evaluation.first_seconds.plan import (
            DEFAULT_RUNGS,
            KINDS,
            FirstSecondsSettings,
        )
        from rtdecode.calibrate.evaluation.first_seconds.run import first_seconds_scores, read_and_plan

        runs_on = chosen_workers(workers, dask)
    from rtdecode.calibrate.evaluation.first_seconds.reference import read_reference
    from rtdecode.calibrate.evaluation.first_seconds.report import documents, scores_csv, table_rows
    from rtdecode.model_store import find_model

    bases = read_bases([find_model(name) for name in asked.base])
    width_s = asked.bin_width_s
    if width_s is None:
        width_s = bases[0].artifact.bin_width_s if bases else width_of_counts(sessions[0])
    settings = FirstSecondsSettings(
        seconds=asked.seconds,
        bin_width_s=width_s,
        outputs=asked.outputs,
        kinds=(() if bases else KINDS) if asked.kinds is None else asked.kinds,
        rungs=DEFAULT_RUNGS if asked.rungs is None else asked.rungs,
        seeds=range(asked.seeds),
        device=asked.device,
    )
    with progress_bar() as progress:
        jobs, notes = read_and_plan(sessions, bases, settings, progress)
        # Before the jobs, which may take hours.
        reference = {} if asked.reference is None else read_reference(asked.reference, jobs[0].outputs)
        make_folder(output)
        done = first_seconds_scores(jobs, output, workers=runs_on, progress=progress)
    document = documents(done.results, reference)
    replace_file(output / "results.json", (jsonlib.dumps(document, indent=1) + "\n").encode())
    if done.results:
        replace_file(output / "results.csv", scores_csv(done.results, reference).encode())
    if json:
        print_json(document)
    elif done.results:
        for note in notes:
            print(f"note: {note}")
        print(table(*table_rows(done.results, reference)))
        print(
            f"mean R² of {', '.join(jobs[0].outputs)} on all of each day after its first {asked.seconds:g} "
            f"s; written to {output}/results.json and results.csv"
        )
    refuse_missing(done.missing, len(jobs), output)
