"""`rtdecode evaluate`."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated

import typer

from rtdecode.cli.common import (
    JSON_HELP,
    needs_training_packages,
    print_json,
    progress_bar,
    split_names,
    table,
)
from rtdecode.errors import RtdecodeError
from rtdecode.files import make_folder

FEW_SHOT = "few-shot"
FEW_SHOT_KINDS = ("alignnet", "gru", "wiener")
KNOWN = ("last", "first")


def evaluate(
    sessions: Annotated[
        list[Path],
        typer.Argument(help="Session files (.h5), in the order of their days.", metavar="SESSION…"),
    ],
    output: Annotated[Path, typer.Option(help="Folder for results.json, tables, figures and the report.")],
    protocol: Annotated[
        str,
        typer.Option(
            help="few-shot; or single-day, cross-day or both with a comma between them: the paper's study."
        ),
    ] = FEW_SHOT,
    base: Annotated[
        list[str] | None,
        typer.Option(help="Model made by `rtdecode pretrain`: a file or a name; may be given several times."),
    ] = None,
    kinds: Annotated[
        str | None,
        typer.Option(
            help="few-shot: which of alignnet, gru (each needs a --base of its kind) and wiener; default "
            "alignnet,wiener. Study: which of wiener, kalman, gru, mlp, resnet, resnet-unet, alignnet; "
            "default all."
        ),
    ] = None,
    minutes: Annotated[
        str | None, typer.Option(help="few-shot: minutes of labels; 0: spikes only. Default 0,0.5,1,2,4.")
    ] = None,
    known: Annotated[
        str | None,
        typer.Option(
            help="few-shot: which minutes are known, the last before the last fifth (default), or the first."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(help="How many seeds of training.", min=1, max=100)] = 1,
    splits: Annotated[
        str | None,
        typer.Option(help="Study, on a single day: chronological (default), random, or both."),
    ] = None,
    forms: Annotated[
        str | None,
        typer.Option(help="Study: which of causal, offline (both by default) and offline-2d."),
    ] = None,
    directions: Annotated[
        str | None, typer.Option(help="Study: decode (spikes to behaviour), simulate, or both (default).")
    ] = None,
    bin_width: Annotated[
        float | None,
        typer.Option(help="Study: seconds; default: what the first session was counted in, or 0.02."),
    ] = None,
    outputs: Annotated[
        str | None, typer.Option(help="Study: which behaviour, such as x,y; default: all.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Study: batches that each network learns from.", min=1)
    ] = None,
    members: Annotated[
        int | None, typer.Option(help="Study: networks whose mean is scored.", min=1, max=16)
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Study: jobs at a time here; default: one for each core.", min=1),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(help="Study: a Dask scheduler that does the jobs.", metavar="ADDRESS"),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="few-shot: auto (a GPU if there is one; default), cpu, cuda …")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Score models of other days on new ones by their minutes of labels, or run the paper's study.

    A study that was interrupted goes on where it was when the same command is run again.
    """
    protocols = split_names(protocol) or ()
    studied = protocols != (FEW_SHOT,)
    others: dict[str, object] = (
        {"--minutes": minutes, "--known": known, "--device": device}
        if studied
        else {
            "--splits": splits, "--forms": forms, "--directions": directions, "--bin-width": bin_width,
            "--outputs": outputs, "--steps": steps, "--members": members, "--workers": workers,
            "--dask": dask,
        }
    )  # fmt: skip
    for flag, value in others.items():
        if value is not None:
            raise typer.BadParameter(f"is not for --protocol {protocol}", param_hint=flag)
    if studied:
        from rtdecode.cli.study import study

        study(
            sessions,
            output,
            protocols=protocols,
            kinds=split_names(kinds),
            bases=base or [],
            seeds=seeds,
            splits=split_names(splits),
            forms=split_names(forms),
            directions=split_names(directions),
            bin_width_s=bin_width,
            outputs=split_names(outputs),
            steps=steps,
            members=members,
            workers=workers,
            dask=dask,
            json=json,
        )
        return
    _few_shot(
        sessions,
        output,
        base or [],
        split_names(kinds) or ("alignnet", "wiener"),
        _minutes(minutes or "0,0.5,1,2,4"),
        known or KNOWN[0],
        seeds,
        device or "auto",
        json,
    )


def _few_shot(
    sessions: list[Path],
    output: Path,
    base: list[str],
    wanted: tuple[str, ...],
    given: list[float],
    known: str,
    seeds: int,
    device: str,
    json: bool,
) -> None:
    if not set(wanted) <= set(FEW_SHOT_KINDS):
        raise typer.BadParameter(f"kinds are {', '.join(FEW_SHOT_KINDS)}", param_hint="--kinds")
    if known not in KNOWN:
        raise typer.BadParameter(f"give {' or '.join(KNOWN)}", param_hint="--known")
    with needs_training_packages("evaluating networks", "evaluate"):
        from rtdecode.calibrate.fewshot import few_shot
    from rtdecode.artifact import read_artifact, replace_file
    from rtdecode.calibrate.fewshotreport import draw, table_rows
    from rtdecode.modelstore import find_model

    bases = [read_artifact(find_model(name)) for name in base]
    found = {artifact.kind for artifact in bases}
    networks = [kind for kind in wanted if kind != "wiener"]
    for kind in networks:
        if kind not in found:
            raise RtdecodeError(
                f"no base of kind {kind}",
                where="--kinds",
                mend=f"name one with --base, made by rtdecode pretrain --kind {kind}",
            )
    for name, artifact in zip(base, bases, strict=True):
        if artifact.kind not in networks:
            raise RtdecodeError(
                f"is of kind {artifact.kind}, which --kinds does not name",
                where=name,
                mend=f"leave it out, or give --kinds {','.join([*wanted, artifact.kind])}",
            )
    make_folder(output)
    with progress_bar() as progress:
        scores = few_shot(
            sessions,
            bases,
            minutes=given,
            known=known,
            seeds=range(seeds),
            wiener="wiener" in wanted,
            device=device,
            progress=progress,
        )
    document = [score.as_json() for score in scores]
    replace_file(output / "results.json", (jsonlib.dumps(document, indent=1) + "\n").encode())
    draw(scores, output / "few-shot.png")
    if json:
        print_json(document)
        return
    print(table(*table_rows(scores)))
    print(f"R² on the last fifth of each day; written to {output}/results.json and few-shot.png")


def _minutes(text: str) -> list[float]:
    try:
        given = [float(part) for part in text.split(",")]
    except ValueError:
        given = []
    if not given or given != sorted(set(given)) or not 0.0 <= given[0] <= given[-1] < 1e4:
        raise typer.BadParameter("give rising numbers such as 0,0.5,1,2,4", param_hint="--minutes")
    return given
