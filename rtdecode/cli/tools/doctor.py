"""`rtdecode doctor`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtdecode.cli.common import print_json, progress_bar
from rtdecode.cli.options import Config, Json
from rtdecode.cli.runtime.rig_config import rig_settings, stream_settings
from rtdecode.detection.options import detection_options
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.messages import CONTROL_ENDPOINT, CURSOR_ENDPOINT
from rtdecode.serve.array_settings import arrays_of, features_of

if TYPE_CHECKING:
    from rtdecode.tools.doctor.plan import Report


def doctor(
    stream: Annotated[
        list[str] | None,
        typer.Option(
            help="Name of a spike stream to check too; several arrays: once for each; default: rig.toml's."
        ),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(help="Name of a stream of features beside spikes to check too; default: rig.toml's."),
    ] = None,
    features_source_id: Annotated[
        str | None, typer.Option(help="Source id of the features' outlet, as in serve; default: rig.toml's.")
    ] = None,
    source_id: Annotated[
        str | None, typer.Option(help="Source id of its outlet, as in serve; default: rig.toml's.")
    ] = None,
    layout: Annotated[
        Layout | None, typer.Option(help="Layout of the stream, as in serve; default: rig.toml's.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Model to compare with the stream, a file or a name; default: rig.toml's, else the "
            "stream's current one.",
            metavar="PATH|NAME",
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Folder of recordings; default: that of rig.toml's record, else this one."),
    ] = None,
    bind: Annotated[
        str | None,
        typer.Option(help=f"Cursor endpoint, as in serve; default: rig.toml's, else {CURSOR_ENDPOINT}."),
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(help=f"Control endpoint, as in serve; default: rig.toml's, else {CONTROL_ENDPOINT}."),
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Check whether this machine can decode in time, and how to fix it if not. Takes about 5 s.

    Run it before the experiment. Each check gives ok, warn (works, with reduced performance) or fail (`serve`
    cannot work or will be late), and how to fix it if it is not ok. Exits with 1 if a check fails.
    """
    from rtdecode.errors import RtdecodeError
    from rtdecode.tools.doctor.check import Verdict
    from rtdecode.tools.doctor.plan import DoctorSettings, run_doctor

    rig, of_stream = rig_settings(config), stream_settings(config, stream or [])
    names = of_stream.get("stream", ())
    if features and not names:
        raise typer.BadParameter("features are beside spikes; add --stream NAME", param_hint="--features")
    detection = detection_options(of_stream)
    of_each = {
        name: of_stream.get(name) for name in ("columns", "first_channel", "channel_map", "drop_units")
    }
    of_each |= {
        "source_id": source_id or of_stream.get("source_id"),
        "layout": layout or of_stream.get("layout"),
        "detection": detection,
    }
    settings = DoctorSettings(
        bind=bind or rig.get("bind", CURSOR_ENDPOINT),
        control=control or rig.get("control", CONTROL_ENDPOINT),
        folder=folder or Path(rig.get("record", "")).parent,
        arrays=arrays_of(names, of_each, of_stream.get("arrays", {})),
        features=features_of(
            features or of_stream.get("features"),
            features_source_id or of_stream.get("features_source_id"),
            power=detection.power is not None,
        ),
        model=model or of_stream.get("model"),
    )
    with progress_bar() as progress:
        report = run_doctor(settings, progress)
    if json:
        print_json(report.document())
    else:
        _show(report)
    failed = report.named(Verdict.FAIL)
    if failed:
        raise RtdecodeError(
            f"{len(failed)} of {len(report.checks)} checks failed: {', '.join(failed)}",
            where="doctor",
            fix="follow the fix below each of them",
        )


def _show(report: Report) -> None:
    """Print an aligned list, fixes below the checks that need one, and a summary; coloured on a terminal."""
    from rich.console import Console
    from rich.text import Text

    from rtdecode.tools.doctor.check import Verdict

    colours = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}
    console = Console(file=sys.stdout, soft_wrap=True, highlight=False, force_terminal=sys.stdout.isatty())
    width = max(len(checked.name) for checked in report.checks)
    for checked in report.checks:
        finding = checked.finding
        console.print(
            Text.assemble(
                (f"{finding.verdict:<4}", colours[finding.verdict]),
                f"  {checked.name:<{width}}  {finding.found}",
            )
        )
        if finding.fix is not None:
            console.print(Text(f"      {'':<{width}}  fix: {finding.fix}"))
    failed, warned = report.named(Verdict.FAIL), report.named(Verdict.WARN)
    if failed:
        line = f"this machine cannot decode in time: fix {', '.join(failed)} first"
    elif warned:
        line = f"this machine can decode, with reduced performance: see {', '.join(warned)}"
    else:
        line = "this machine can decode in time"
    console.print(Text(f"{report.verdict}: {line}", colours[report.verdict]))
