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

PROTOCOLS = ("few-shot",)
KINDS = ("alignnet", "gru", "wiener")
KNOWN = ("last", "first")


def evaluate(
    sessions: Annotated[
        list[Path], typer.Argument(help="Session files (.h5) that no base has seen.", metavar="SESSION…")
    ],
    output: Annotated[Path, typer.Option(help="Folder for results.json and the figure.")],
    protocol: Annotated[str, typer.Option(help="few-shot.")] = "few-shot",
    base: Annotated[
        list[str] | None,
        typer.Option(help="Model made by `rtdecode pretrain`: a file or a name; may be given several times."),
    ] = None,
    kinds: Annotated[
        str, typer.Option(help="Which of alignnet, gru (each needs a --base of its kind) and wiener.")
    ] = "alignnet,wiener",
    minutes: Annotated[str, typer.Option(help="Minutes of labels; 0: spikes only.")] = "0,0.5,1,2,4",
    known: Annotated[
        str, typer.Option(help="Which minutes are known: the last before the last fifth, or the day's first.")
    ] = "last",
    seeds: Annotated[int, typer.Option(help="How many seeds of fine-tuning.", min=1, max=100)] = 1,
    device: Annotated[str, typer.Option(help="auto (a GPU if there is one), cpu, cuda …")] = "auto",
    json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Score models of other days on new ones, by the minutes of labels that they are given."""
    wanted = split_names(kinds) or ()
    if protocol not in PROTOCOLS:
        raise typer.BadParameter(
            f"no such protocol; there is {', '.join(PROTOCOLS)}", param_hint="--protocol"
        )
    if not set(wanted) <= set(KINDS):
        raise typer.BadParameter(f"kinds are {', '.join(KINDS)}", param_hint="--kinds")
    if known not in KNOWN:
        raise typer.BadParameter(f"give {' or '.join(KNOWN)}", param_hint="--known")
    given = _minutes(minutes)
    with needs_training_packages("evaluating networks", "evaluate"):
        from rtdecode.calibrate.fewshot import few_shot
    from rtdecode.artifact import read_artifact, replace_file
    from rtdecode.calibrate.fewshotreport import draw, table_rows
    from rtdecode.modelstore import find_model

    bases = [read_artifact(find_model(name)) for name in base or []]
    found = {artifact.kind for artifact in bases}
    networks = [kind for kind in wanted if kind != "wiener"]
    for kind in networks:
        if kind not in found:
            raise RtdecodeError(
                f"no base of kind {kind}",
                where="--kinds",
                mend=f"name one with --base, made by rtdecode pretrain --kind {kind}",
            )
    for name, artifact in zip(base or [], bases, strict=True):
        if artifact.kind not in networks:
            raise RtdecodeError(
                f"is of kind {artifact.kind}, which --kinds does not name",
                where=name,
                mend=f"leave it out, or give --kinds {','.join([*wanted, artifact.kind])}",
            )
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RtdecodeError(
            f"cannot be made ({error.strerror or error})",
            where=str(output),
            mend="name a folder you may write to",
        ) from error
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
