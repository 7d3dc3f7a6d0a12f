"""`rtdecode calibrate`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtdecode.cli.common import number, print_json, progress_bar, table
from rtdecode.cli.options import Block, Device, Json, Seed
from rtdecode.cli.runtime.rig_config import rig_settings

if TYPE_CHECKING:
    from rtdecode.calibrate.adaptation.calibrate import Calibration
    from rtdecode.calibrate.adaptation.start import Start

REFUSED = 3

#: Seconds of a budget that starting and drawing the report take.
AROUND_S = 2.0

#: Niceness, below the priority of a daemon on the same machine.
NICE = 10
REPORT_SUFFIX = ".report.html"


def calibrate(
    session: Annotated[Path, typer.Argument(help="Today's session file (.h5).", metavar="TODAY")],
    base: Annotated[
        str | None,
        typer.Option(
            help="Model to start from, a path or a name; default: rig.toml's model, else the stream's "
            "current one, else a bundled one that fits."
        ),
    ] = None,
    rung: Annotated[
        str | None,
        typer.Option(
            "--rung",
            "--method",
            help="Calibration method: unsup, readout, readin or full; default: what the session and torch "
            "allow. refit: relabel a closed-loop session with intended velocities towards the target "
            "(ReFIT).",
        ),
    ] = None,
    block: Block = None,
    output: Annotated[
        Path | None, typer.Option(help="Model file to write; default: TODAY.safetensors beside the session.")
    ] = None,
    budget: Annotated[float | None, typer.Option(help="Time limit, seconds.")] = None,
    stream: Annotated[
        str | None,
        typer.Option(
            help="Stream whose current model it becomes; default: rig.toml's, else the recorded one."
        ),
    ] = None,
    deploy: Annotated[
        str | None,
        typer.Option(
            help="Control endpoint of a running daemon to swap the model into, such as tcp://127.0.0.1:5557.",
            metavar="EP",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Deploy even if refused; recorded in the model's provenance.")
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
    report: Annotated[
        Path | None,
        typer.Option(help="Report to write (.html); default: OUTPUT with .report.html."),
    ] = None,
    json: Json = False,
) -> None:
    """Adapt a model of other days to today, and make it current if it is better. Exit 3 if it is not.

    With --deploy a running daemon continues with it, between two bins.
    """
    from rtdecode.artifact import write_artifact
    from rtdecode.calibrate.adaptation.calibrate import JUDGING, calibrate_session, forced
    from rtdecode.calibrate.adaptation.start import choose_start
    from rtdecode.calibrate.run import Run
    from rtdecode.cli.runtime.swap import swap_in
    from rtdecode.endpoints import check_connect
    from rtdecode.errors import RtdecodeError
    from rtdecode.model_store import REFUSED_SUFFIX, install_current
    from rtdecode.session.read import read_session
    from rtdecode.session.target import check_writable

    if budget is not None and not budget > 0:
        raise RtdecodeError(
            f"--budget must be above 0 s, got {budget:g}", fix="give seconds, such as --budget 60"
        )
    if deploy is not None:
        check_connect(deploy, "--deploy")
        # The daemon may run on this machine, and training uses all cores it gets.
        if hasattr(os, "nice"):
            os.nice(NICE)
    started = time.monotonic()
    target = output or session.with_suffix(".safetensors")
    check_writable(target)
    with progress_bar() as progress:
        progress("reading the session", 0.0)
        recorded = read_session(session)
        rig = rig_settings()
        whose = stream or rig.get("stream") or recorded.attrs.get("stream")
        start = choose_start(recorded, base or rig.get("model"), whose)
        stage = "calibrating"

        def on_validation(best_r2: float) -> None:
            nonlocal stage
            stage = f"calibrating: R² {best_r2:.3f} on the validation part"

        result = calibrate_session(
            recorded,
            start.base,
            Run(
                seed=seed,
                device=device,
                deadline_s=None if budget is None else time.monotonic() + max(budget - AROUND_S, 0.1),
                progress=lambda done: progress("judging" if done >= 1.0 - JUDGING else stage, done),
                on_validation=on_validation,
            ),
            incumbent=start.incumbent,
            rung=rung,
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
    document = _document(result, start.path, written, installed, time.monotonic() - started, force)
    document["deployed"] = accepted and not_swapped is None
    document["swapped"] = None if swapped is None else swapped["bin"]
    document |= _report(report or target.with_suffix(REPORT_SUFFIX), result, start, whose)
    if json:
        print_json(document)
    else:
        _print(document, whose)
    if not_swapped is not None:
        raise RtdecodeError(
            f"the model was accepted, but the daemon did not swap it in: {not_swapped.what}",
            where=not_swapped.where,
            fix=f"run rtdecode swap {written} --control {deploy}",
        )
    if not accepted:
        raise typer.Exit(REFUSED)


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
            "seconds": result.session.test_s,
        },
        "rung": result.rung,
        "labels": result.session.of.labels,
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


def _report(path: Path, result: Calibration, start: Start, stream: str | None) -> dict[str, Any]:
    """Write the report; its part of the document."""
    # Imports matplotlib, which nothing else here needs.
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
        against = "intended velocities" if document["labels"] == "refit" else "behaviour"
        seconds = document["holdout"]["seconds"]
        print(f"R² against {against} in the last {seconds:.0f} s, not used for training")
        columns = [(name, score) for name, score in scores.items() if score is not None]
        rows = [
            [output, *(number(float(score[i])) for _, score in columns)]
            for i, output in enumerate(document["outputs"])
        ]
        varying = [score[score == score] for _, score in columns]
        rows.append(["mean", *(number(float(score.mean()) if len(score) else None) for score in varying)])
        print(table(["output", *(name for name, _ in columns)], rows))
    verdict = "better" if document["deployable"] else "FORCED" if document["forced"] else "REFUSED"
    print(f"{verdict}: {document['reason']}")
    if document["output"] is not None:
        print(f"model {document['model']} written to {document['output']} in {document['seconds']:.1f} s")
    if document["swapped"] is not None:
        print(f"the daemon decodes with it from bin {document['swapped']}")
    if document["report"] is not None:
        print(f"report: {document['report']}")
    if document["current"] is not None:
        print(f"now the current model of stream {stream}: rtdecode serve --stream {stream}")
    elif document["deployable"] or document["forced"]:
        print(f"no stream is known to make it current for: serve it with --model {document['output']}")
