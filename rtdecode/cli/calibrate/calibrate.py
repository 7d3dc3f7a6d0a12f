"""`rtdecode calibrate`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtdecode.cli.common import JSON_HELP, number, print_json, progress_bar, table
from rtdecode.cli.runtime.rig_config import rig_settings

if TYPE_CHECKING:
    from rtdecode.calibrate.adaptation.calibrate import Calibration
    from rtdecode.calibrate.adaptation.start import Start

REFUSED = 3

#: What starting, and drawing the page about today, take of a budget.
AROUND_S = 2.0

#: Priority below that of a daemon beside which this runs.
NICE = 10
REFUSED_SUFFIX = ".refused.safetensors"
REPORT_SUFFIX = ".report.html"


def calibrate(
    session: Annotated[Path, typer.Argument(help="Today's session file (.h5).", metavar="TODAY")],
    base: Annotated[
        str | None,
        typer.Option(
            help="Model to start from, a path or a name; default: rig.toml's model, else the stream's "
            "current one, else one that ships and fits."
        ),
    ] = None,
    rung: Annotated[
        str | None,
        typer.Option(
            help="unsup, readout, readin or full; default: what the session and torch allow. refit: learn "
            "from a closed-loop session what was wanted, the way to each trial's target."
        ),
    ] = None,
    block: Annotated[
        list[str] | None,
        typer.Option(help="Take only the trials of this block; may be given several times.", metavar="NAME"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Model file to write; default: TODAY.safetensors beside the session.")
    ] = None,
    budget: Annotated[float | None, typer.Option(help="Seconds that it may take.")] = None,
    stream: Annotated[
        str | None,
        typer.Option(
            help="Stream whose current model it becomes; default: rig.toml's, else the one that was recorded."
        ),
    ] = None,
    deploy: Annotated[
        str | None,
        typer.Option(
            help="Control endpoint of a daemon that is to decode with it, such as tcp://127.0.0.1:5557.",
            metavar="EP",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Deploy it whatever the gate says; the model remembers.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of everything random.", min=0)] = 0,
    device: Annotated[
        str, typer.Option(help="What trains a network: auto (a GPU if there is one), cpu, cuda …")
    ] = "auto",
    report: Annotated[
        Path | None,
        typer.Option(help="Page about today to write (.html); default: OUTPUT with .report.html."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Adapt a model of other days to today, and make it current if it is better. Exit 3 if it is not.

    With --deploy a daemon that runs goes on with it, between two bins.
    """
    from rtdecode.artifact import write_artifact
    from rtdecode.calibrate.adaptation.calibrate import calibrate_session, forced
    from rtdecode.calibrate.adaptation.start import choose_start
    from rtdecode.cli.runtime.swap import swap_in
    from rtdecode.errors import RtdecodeError
    from rtdecode.model_store import install_current
    from rtdecode.serve.settings import check_endpoint
    from rtdecode.session.read import read_session
    from rtdecode.session.target import check_writable

    if deploy is not None:
        check_endpoint("--deploy", deploy, insecure=True)
        _yield_to_the_daemon()
    started = time.perf_counter()
    target = output or session.with_suffix(".safetensors")
    check_writable(target)
    recorded = read_session(session)
    rig = rig_settings()
    whose = stream or rig.get("stream") or recorded.attrs.get("stream")
    start = choose_start(recorded, base or rig.get("model"), whose)
    with progress_bar() as progress:
        result = calibrate_session(
            session,
            start.base,
            incumbent=start.incumbent,
            rung=rung,
            budget_s=budget if budget is None or budget <= 0 else max(budget - AROUND_S, 0.1),
            seed=seed,
            device=device,
            progress=progress,
            blocks=block or (),
        )
    if force and not result.deployable:
        result = forced(result)
    accepted = result.deployable or force
    written: Path | None = None
    if result.artifact is not None:
        written = target if accepted else target.with_name(target.stem + REFUSED_SUFFIX)
        write_artifact(written, result.artifact)
    installed = install_current(written, whose) if accepted and written is not None and whose else None
    swapped: dict[str, Any] | None = None
    not_swapped: RtdecodeError | None = None
    if accepted and written is not None and deploy is not None:
        try:
            swapped = swap_in(str(written), deploy)
        except RtdecodeError as error:
            not_swapped = error
    document = _document(result, start.path, written, installed, time.perf_counter() - started, force)
    document["deployed"] = accepted and not_swapped is None
    document["swapped"] = None if swapped is None else swapped["bin"]
    document |= _reported(report or target.with_suffix(REPORT_SUFFIX), result, start, whose)
    if json:
        print_json(document)
    else:
        _print(document, whose)
    if not_swapped is not None:
        raise RtdecodeError(
            f"the model is good, but the daemon did not take it: {not_swapped.what}",
            where=not_swapped.where,
            fix=f"then: rtdecode swap {written} --control {deploy}",
        )
    if not accepted:
        raise typer.Exit(REFUSED)


def _yield_to_the_daemon() -> None:
    """A daemon that decodes may run on this very machine, and training takes all cores it gets."""
    if hasattr(os, "nice"):
        os.nice(NICE)


def _document(
    result: Calibration,
    base: Path,
    written: Path | None,
    installed: Path | None,
    seconds: float,
    force: bool,
) -> dict[str, Any]:
    verdict = result.verdict
    names = list(result.artifact.output_names) if result.artifact is not None else []
    scores = None
    if verdict is not None:
        scores = {"new": verdict.new, "incumbent": verdict.incumbent, "wiener": verdict.wiener}
    return {
        "output": None if written is None else str(written),
        "outputs": names,
        "seconds": seconds,
        "holdout": {
            "r2": None if verdict is None else verdict.new,
            "pcc": result.pcc,
            "seconds": result.holdout_s,
        },
        "rung": result.rung,
        "labels": result.labels,
        "deployable": result.deployable,
        "forced": force and not result.deployable,
        "reason": result.reason,
        "scores": scores,
        "bound": None if verdict is None else verdict.bound,
        "chance": None if verdict is None else verdict.chance,
        "base": str(base),
        "model": None if result.artifact is None else result.artifact.model_id,
        "current": None if installed is None else str(installed),
        "notes": result.notes,
    }


def _reported(path: Path, result: Calibration, start: Start, stream: str | None) -> dict[str, Any]:
    """Write the page about today; what the document says of it."""
    # Draws, which nothing else here does.
    from rtdecode.calibrate.report.page import report_or_note

    about = {"base": start.path.name, "stream": stream or ""}
    problem = report_or_note(path, result, start.base, about)
    if problem is not None:
        return {"report": None, "notes": [*result.notes, problem]}
    return {"report": str(path)}


def _print(document: dict[str, Any], stream: str | None) -> None:
    for note in document["notes"]:
        print(f"note: {note}")
    print(f"from {document['base']}, rung {document['rung']}")
    scores = document["scores"]
    if scores is not None:
        against = "intention" if document["labels"] == "refit" else "behaviour"
        seconds = document["holdout"]["seconds"]
        print(f"R² against {against} in the last {seconds:.0f} s, which nothing was learnt from")
        columns = [(name, score) for name, score in scores.items() if score is not None]
        rows = [
            [output, *(number(float(score[i])) for _, score in columns)]
            for i, output in enumerate(document["outputs"])
        ]
        varying = [score[score == score] for _, score in columns]
        rows.append(["mean", *(number(float(score.mean()) if len(score) else None) for score in varying)])
        print(table(["output", *(name for name, _ in columns)], rows))
    said = "better" if document["deployable"] else "FORCED" if document["forced"] else "REFUSED"
    print(f"{said}: {document['reason']}")
    if document["output"] is not None:
        print(f"model {document['model']} written to {document['output']} in {document['seconds']:.1f} s")
    if document["swapped"] is not None:
        print(f"the daemon decodes with it from bin {document['swapped']}")
    if document["report"] is not None:
        print(f"whether to trust today: {document['report']}")
    if document["current"] is not None:
        print(f"now the current model of stream {stream}: rtdecode serve --stream {stream}")
    elif document["deployable"] or document["forced"]:
        print(f"no stream is known to make it current for: serve it with --model {document['output']}")
