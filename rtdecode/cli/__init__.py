"""The command line. Each command is in the module of its name, and imports its packages when it runs."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Mapping

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
from rtdecode.errors import RtdecodeError
from rtdecode.ingest import OpenSource

#: Errors of a disk that takes no more.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

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
app.command("import")(import_files.import_files)
app.command("export")(export_session.export_session)
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


def main(sources: Mapping[str, OpenSource] | None = None) -> None:
    """Run the command line; exit status 0: done, 1: failed, 2: bad usage.

    Args:
        sources: of one's own, by the name of their stream: `serve` and `record` open them, where they would
            look for a stream of LSL (docs/own-source.md).
    """
    _open_missing()
    if os.environ.get("HOME") == "":
        # Else the home folder would be "/".
        del os.environ["HOME"]
    # A fit beside a live daemon must not spin on every core; OpenBLAS reads this when NumPy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Under an ASCII locale "R²" must not end the command.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        try:
            app(arguments, obj=sources)
        finally:
            # Not first when the interpreter ends: it would not say it in one line.
            sys.stdout.flush()
    except RtdecodeError as error:
        if debug:
            raise
        _fail(str(error))
    except BrokenPipeError:
        # The reader of our output has ended, as in `rtdecode … | head`; nothing more can be printed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        if isinstance(error, OSError) and error.errno in FULL and error.filename is None:
            # What is left of it must not be written when the interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            _fail(
                f"the output cannot be written ({error.strerror}). Fix: free space on its disk, or redirect "
                "it to another one"
            )
        if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith("rtdecode."):
            _fail(
                f"Python has imported an rtdecode folder that lacks {error.name}. Fix: start it outside "
                "the project's folder, or set PYTHONSAFEPATH=1"
            )
        if isinstance(error, RuntimeError) and "home directory" in str(error):
            _fail("this user has no home folder. Fix: set HOME to a folder, such as HOME=/tmp")
        _fail(f"internal error, {type(error).__name__}: {error}. Fix: run again with --debug and report it")


def _open_missing() -> None:
    """Where standard output or error is closed (`2>&-`), write to nowhere; no socket may get its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))


def _fail(line: str) -> None:
    print(f"rtdecode: {' '.join(line.split())}", file=sys.stderr)
    sys.exit(1)
