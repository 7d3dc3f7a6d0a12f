"""Bases on new days by minutes of labels, which `rtdecode evaluate --protocol few-shot` runs."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path

import typer

from rtdecode.cli.common import needs_training_packages, print_json, progress_bar, refuse_missing, table
from rtdecode.errors import RtdecodeError
from rtdecode.files import make_folder, replace_file

KINDS = ("alignnet", "gru", "wiener")
DEFAULT_KINDS = ("alignnet", "wiener")
KNOWN = ("last", "first")
DEFAULT_MINUTES = "0,0.5,1,2,4"


def few_shot(
    sessions: list[Path],
    output: Path,
    *,
    bases: list[str],
    kinds: tuple[str, ...] | None,
    minutes: str | None,
    known: str | None,
    seeds: int,
    device: str | None,
    workers: int | None,
    dask: str | None,
    json: bool,
) -> None:
    """Run it and write what it comes to; None stands for the default.

    Raises:
        RtdecodeError: an argument, a session or a base cannot be used, or some jobs gave no result (when
            everything else is written).
    """
    given = _minutes(minutes or DEFAULT_MINUTES)
    wanted = kinds or DEFAULT_KINDS
    if not set(wanted) <= set(KINDS):
        raise typer.BadParameter(f"kinds are {', '.join(KINDS)}", param_hint="--kinds")
    if known is not None and known not in KNOWN:
        raise typer.BadParameter(f"give {' or '.join(KNOWN)}", param_hint="--known")
    with needs_training_packages("evaluating networks", "evaluate"):
        from rtdecode.calibrate.evaluation.fewshot import run as fewshot
    from rtdecode.calibrate.evaluation.fewshot.report import draw, table_rows

    files = _files(bases, wanted)
    make_folder(output)
    with progress_bar() as progress:
        done = fewshot.few_shot(
            sessions,
            files,
            output,
            minutes=given,
            known=known or KNOWN[0],
            seeds=range(seeds),
            wiener="wiener" in wanted,
            device=device or "auto",
            workers=workers,
            dask=dask,
            progress=progress,
        )
    document = [score.as_json() for score in done.scores]
    replace_file(output / "results.json", (jsonlib.dumps(document, indent=1) + "\n").encode())
    if done.scores:
        draw(done.scores, output / "few-shot.png")
    if json:
        print_json(document)
    elif done.scores:
        print(table(*table_rows(done.scores)))
        print(f"R² on the last fifth of each day; written to {output}/results.json and few-shot.png")
    refuse_missing(done.missing, len(done.scores) + len(done.missing), output)


def _files(bases: list[str], wanted: tuple[str, ...]) -> list[Path]:
    """The files of the bases, which are of the wanted kinds, all of them."""
    from rtdecode.artifact import read_artifact
    from rtdecode.model_store import find_model

    files = [find_model(name) for name in bases]
    found = [read_artifact(path, train=False).kind for path in files]
    networks = [kind for kind in wanted if kind != "wiener"]
    for kind in networks:
        if kind not in found:
            raise RtdecodeError(
                f"no base of kind {kind}",
                where="--kinds",
                fix=f"name one with --base, made by rtdecode pretrain --kind {kind}",
            )
    for name, kind in zip(bases, found, strict=True):
        if kind not in networks:
            raise RtdecodeError(
                f"is of kind {kind}, which --kinds does not name",
                where=name,
                fix=f"leave it out, or give --kinds {','.join([*wanted, kind])}",
            )
    return files


def _minutes(text: str) -> list[float]:
    try:
        given = [float(part) for part in text.split(",")]
    except ValueError:
        given = []
    if not given or given != sorted(set(given)) or not 0.0 <= given[0] <= given[-1] < 1e4:
        raise typer.BadParameter("give rising numbers such as 0,0.5,1,2,4", param_hint="--minutes")
    return given
