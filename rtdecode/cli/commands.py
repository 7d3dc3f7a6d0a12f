"""All commands. Each is in the module of its name, and imports its packages when it runs."""

from __future__ import annotations

import typer

from rtdecode.cli.calibrate import calibrate, evaluate, fit, pretrain, simulate, study, verify
from rtdecode.cli.runtime import decode, info, models, monitor, serve, swap
from rtdecode.cli.tools import (
    bench,
    bridge,
    demo,
    detect,
    doctor,
    export_session,
    import_files,
    record,
    replay,
    streams,
    subject,
)

app = typer.Typer(
    name="rtdecode",
    help="Real-time, closed-loop decoding of movement from spikes.",
    epilog="--debug, anywhere on the line, shows the traceback of an error.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve", context_settings={"auto_envvar_prefix": "RTDECODE"})(serve.serve)
app.command("monitor")(monitor.monitor)
app.command("swap")(swap.swap)
app.command("models")(models.models)
app.command("replay")(replay.replay)
app.command("record")(record.record)
app.command("detect")(detect.detect)
app.command("streams")(streams.streams)
app.command("decode")(decode.decode)
app.command("fit")(fit.fit)
app.command("calibrate")(calibrate.calibrate)
app.command("pretrain")(pretrain.pretrain)
app.command("evaluate", cls=evaluate.EvaluateCommand)(evaluate.evaluate)
app.command("study")(study.study)
app.command("simulate")(simulate.simulate)
app.command("verify")(verify.verify)
app.command("info")(info.info)
app.command("subject")(subject.subject)
app.command("demo")(demo.demo)
app.command("import")(import_files.import_files)
app.command("export")(export_session.export_session)
app.command("doctor")(doctor.doctor)
app.add_typer(bridge.app, name="bridge")
app.add_typer(bench.app, name="bench")


@app.callback(invoke_without_command=True)
def version(
    show: bool = typer.Option(False, "--version", help="Print the version and exit.", is_eager=True),
) -> None:
    """Real-time, closed-loop decoding of movement from spikes."""
    if show:
        from rtdecode import __version__

        typer.echo(f"rtdecode {__version__}")
        raise typer.Exit
