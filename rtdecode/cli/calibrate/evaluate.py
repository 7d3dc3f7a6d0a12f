"""`rtdecode evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rtdecode.cli.common import JSON_HELP, split_names

FEW_SHOT = "few-shot"


def evaluate(
    sessions: Annotated[
        list[Path],
        typer.Argument(help="Session files (.h5), in the order of their days.", metavar="SESSION…"),
    ],
    output: Annotated[
        Path,
        typer.Option(
            help="Folder for results.json, tables, figures and the report; its jobs/ keeps each job that is "
            "done, so that the same command with the same folder computes only what is missing."
        ),
    ],
    protocol: Annotated[
        str,
        typer.Option(
            help="few-shot; or single-day, cross-day or both with a comma between them: the paper's study."
        ),
    ] = FEW_SHOT,
    base: Annotated[
        list[str] | None,
        typer.Option(
            help="Model made by `rtdecode pretrain`: a file or a name; may be given several times. Study: "
            "scored across days, in the form and the direction that it was made for."
        ),
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
        typer.Option(
            help="Jobs at a time here; default: one for each core; few-shot, where there is a GPU to train "
            "on: one.",
            min=1,
        ),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            help="A Dask scheduler whose workers do the jobs, instead of this machine.", metavar="ADDRESS"
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="few-shot: auto (a GPU if there is one; default), cpu, cuda …")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Score models of other days on new ones by their minutes of labels, or run the paper's study.

    What was interrupted goes on where it was when the same command is run again.
    """
    protocols = split_names(protocol) or ()
    studied = protocols != (FEW_SHOT,)
    others: dict[str, object] = (
        {"--minutes": minutes, "--known": known, "--device": device}
        if studied
        else {
            "--splits": splits, "--forms": forms, "--directions": directions, "--bin-width": bin_width,
            "--outputs": outputs, "--steps": steps, "--members": members,
        }
    )  # fmt: skip
    for flag, value in others.items():
        if value is not None:
            raise typer.BadParameter(f"is not for --protocol {protocol}", param_hint=flag)
    if dask is not None and workers is not None:
        raise typer.BadParameter("a cluster says itself how many it does", param_hint="--workers")
    if studied:
        from rtdecode.cli.calibrate.study import study

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
    from rtdecode.cli.calibrate.few_shot import few_shot

    few_shot(
        sessions,
        output,
        bases=base or [],
        kinds=split_names(kinds),
        minutes=minutes,
        known=known,
        seeds=seeds,
        device=device,
        workers=workers,
        dask=dask,
        json=json,
    )
