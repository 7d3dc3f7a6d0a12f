"""`rtdecode calibrate`."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtdecode.cli.calibrate.delivery import Delivered, Delivery
from rtdecode.cli.calibrate.model_target import ModelTarget
from rtdecode.cli.common import number, print_json, progress_bar, table
from rtdecode.cli.options import Block, Device, Json, Overwrite, Seed, output_option, session_argument
from rtdecode.cli.runtime.rig_config import now_current, pinned_model, rig_settings

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
    session: Annotated[Path, session_argument("Today's session file (.h5, or an importable one).", "TODAY")],
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
        Path | None,
        output_option(
            help="Model file to write; default: TODAY.calibrated.safetensors beside the session, numbered if "
            "that exists."
        ),
    ] = None,
    overwrite: Overwrite = False,
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
        bool,
        typer.Option(
            "--force", help="Make it current even if refused or not judged; recorded in its provenance."
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Calibrate and judge, but change nothing; print what would be done."),
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
    report: Annotated[
        Path | None,
        output_option(help="Report to write (.html); default: that of the model file, with .report.html."),
    ] = None,
    json: Json = False,
) -> None:
    """Adapt a model of other days to today, and make it current if it is better. Exit 3 if it is not.

    Without labels, or where it cannot be compared with the model in use, it is not judged, and becomes
    current only with --force. With --deploy a running daemon continues with it, between two bins.
    """
    from rtdecode.calibrate.adaptation.calibrate import JUDGING, calibrate_session, forced
    from rtdecode.calibrate.adaptation.start import choose_start
    from rtdecode.calibrate.run import Run
    from rtdecode.cli.runtime.swap import check_daemon, served_stream
    from rtdecode.errors import RtdecodeError
    from rtdecode.files import check_writable, unused
    from rtdecode.serve.flags import joined
    from rtdecode.session.read import read_session

    if budget is not None and not budget > 0:
        raise RtdecodeError(
            f"--budget must be above 0 s, got {budget:g}", fix="give seconds, such as --budget 60"
        )
    started = time.monotonic()
    notes: list[str] = []
    served = None if deploy is None else served_stream(check_daemon(deploy, "--deploy"))
    target = ModelTarget(output, session, "calibrated", overwrite)
    try:
        target.check([session])
        if report is not None:
            check_writable(report, overwrite=overwrite, inputs=[session, *([output] if output else [])])
    except RtdecodeError as error:
        if not dry_run:
            raise
        notes.append(f"without --dry-run nothing would be done ({error})")
    # The daemon may run on this machine, and training uses all cores it gets.
    if deploy is not None and hasattr(os, "nice"):
        os.nice(NICE)
    with progress_bar() as progress:
        progress("reading the session", 0.0)
        recorded = read_session(session)
        rig = rig_settings()
        whose = stream or joined(rig.get("stream", ())) or recorded.attrs.get("stream")
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
    if whose and accepted and (pinned := pinned_model(whose)):
        notes.append(pinned)
    if whose and not stream and recorded.attrs.get("stream", whose) != whose:
        notes.append(f"the session was recorded from stream {recorded.attrs['stream']}, not {whose}")
    if whose and served not in (None, whose):
        notes.append(f"the daemon at {deploy} serves stream {served}, not {whose}")
    delivery = Delivery(target, accepted, whose, deploy)
    done = None if dry_run or result.artifact is None else delivery.carry_out(result.artifact)
    document = _document(result, start.path, done, time.monotonic() - started, force)
    document["deployed"] = accepted and done is not None and done.problem is None
    document["dry_run"] = delivery.planned() if dry_run else None
    document["notes"] = [*notes, *result.notes]
    if not dry_run:
        beside = target.planned(refused=True) if done is None else done.output
        page = report or beside.with_suffix(REPORT_SUFFIX)
        document |= _report(page if overwrite else unused(page), result, start, whose, document["notes"])
    if json:
        print_json(document)
    else:
        _print(document, whose)
    if done is not None and done.problem is not None:
        raise done.problem
    if not accepted:
        raise typer.Exit(REFUSED)


def _document(
    result: Calibration, base: Path, done: Delivered | None, seconds: float, force: bool
) -> dict[str, Any]:
    verdict = result.verdict
    names = list(result.artifact.output_names) if result.artifact is not None else []
    scores = None
    if verdict is not None:
        scores = {"new": verdict.new, "incumbent": verdict.incumbent, "wiener": verdict.wiener}
    return {
        "output": None if done is None else str(done.output),
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
        "judged": result.judged,
        "forced": force and not result.deployable,
        "reason": result.reason,
        "scores": scores,
        "bound": None if verdict is None else verdict.bound,
        "chance": None if verdict is None else verdict.chance,
        "base": str(base),
        "model": None if result.artifact is None else result.artifact.model_id,
        "current": None if done is None or done.current is None else str(done.current),
        "swapped": None if done is None else done.swapped,
        "report": None,
    }


def _report(
    path: Path, result: Calibration, start: Start, stream: str | None, notes: list[str]
) -> dict[str, Any]:
    """Write the report; its part of the document."""
    # Imports matplotlib, which nothing else here needs.
    from rtdecode.calibrate.report.page import report_or_note

    about = {"base": start.path.name, "stream": stream or ""}
    problem = report_or_note(path, result, start.base, about)
    if problem is not None:
        return {"report": None, "notes": [*notes, problem]}
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
    print(f"{_verdict(document)}: {document['reason']}")
    if document["dry_run"] is not None:
        _print_plan(document)
        return
    if document["output"] is not None:
        print(f"model {document['model']} written to {document['output']} in {document['seconds']:.1f} s")
    if document["swapped"] is not None:
        print(f"the daemon decodes with it from bin {document['swapped']}")
    if document["report"] is not None:
        print(f"report: {document['report']}")
    accepted = document["deployable"] or document["forced"]
    if document["current"] is not None:
        print(now_current(stream or ""))
    elif accepted and not stream:
        serve = f"--model {shlex.quote(str(document['output']))}"
        print(f"no stream is known to make it current for: serve it with {serve}")
    elif not accepted and not document["judged"]:
        print("nothing became current; to make it current all the same, repeat this with --force")


def _verdict(document: dict[str, Any]) -> str:
    if document["deployable"]:
        return "better"
    verdict = "REFUSED" if document["judged"] else "not judged"
    return f"FORCED, {verdict}" if document["forced"] else verdict


def _print_plan(document: dict[str, Any]) -> None:
    plan = document["dry_run"]
    print("dry run: nothing was written or changed. Without --dry-run")
    if document["model"] is None:
        print("- no model would be written")
        return
    print(f"- model {document['model']} would be written to {plan['output']}")
    current = plan["current"]
    print(f"- {'it' if current else 'nothing'} would become current" + (f" for {current}" if current else ""))
    if plan["deploy"] is not None:
        print(f"- the daemon at {plan['deploy']} would continue with it")
