"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from rtdecode.cli.common import print_line
from rtdecode.files import output_file
from rtdecode.trial_rules import TrialRules, read_rules

if TYPE_CHECKING:
    from rtdecode.calibrate.evaluation.runner import Workers

T = TypeVar("T")

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")
]


def output_option(help: str, metavar: str = "FILE") -> Any:
    """An option whose value is a file to write."""
    return typer.Option(help=help, metavar=metavar, parser=output_file)


Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")]
Control = Annotated[
    str | None,
    typer.Option(
        help="Control endpoint of the daemon; default: rig.toml's, else tcp://127.0.0.1:5557.",
        metavar="ENDPOINT",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        help="Settings file; default: RTDECODE_CONFIG, else rig.toml in this folder, if there is one.",
        metavar="RIG.TOML",
    ),
]


def parsed(read: Callable[[str], T]) -> Callable[[str], T]:
    """A parser of an option's text, from a function that raises ValueError."""

    def parse(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return parse


Trials = Annotated[
    TrialRules | None,
    typer.Option(
        help="Markers that make trials, such as start=go,stop=end|abort,success=hit.",
        metavar="RULES",
        parser=parsed(read_rules),
    ),
]
Block = Annotated[
    list[str] | None,
    typer.Option(help="Block whose trials are used; repeat for several; default: all.", metavar="NAME"),
]
Outputs = Annotated[str | None, typer.Option(help="Behaviour to decode, such as x,y; default: all.")]
ReadFeatures = Annotated[
    str | None,
    typer.Option(
        "--features",
        help="Features to read beside the counts; none: counts alone; default: all.",
        metavar="NAME,…|none",
    ),
]
Device = Annotated[str, typer.Option(help="Device to train on: auto (a GPU if there is one), cpu, cuda …")]
Seed = Annotated[int, typer.Option(help="Random seed.", min=0)]
CountsSeed = Annotated[
    int,
    typer.Option(help="Random seed of event times within counts coarser than the model's bins.", min=0),
]


def as_session(path: Path | None) -> Path | None:
    """The session file that a person named, or that the importable file they named is converted to."""
    if path is None:
        return None
    from rtdecode.session.diagnosis.containers import is_session

    # The readers are imported for files of other programs alone: a session is opened at once.
    if not path.is_file() or is_session(path):
        return path
    from rtdecode.tools.files.cache import session_of

    return session_of(path, print_line)


def as_sessions(paths: list[Path]) -> list[Path]:
    """Likewise of several."""
    return [as_session(path) or path for path in paths]


def session_argument(help: str, metavar: str | None = None) -> Any:
    """An argument whose value is a session, or a file of another program (docs/import.md)."""
    return typer.Argument(help=help, metavar=metavar, callback=as_session)


#: Of `evaluate` and `study`, which run jobs; `fit` and `pretrain` read sessions too.
Sessions = Annotated[
    list[Path],
    typer.Argument(
        help="Session files (.h5, or importable ones), in the order of their days.",
        metavar="SESSION…",
        callback=as_sessions,
    ),
]
JobsFolder = Annotated[
    Path,
    typer.Option(
        help="Folder for results.json, tables and figures. Its jobs/ caches each finished job, so that the "
        "same command with the same folder computes only what is missing."
    ),
]
Seeds = Annotated[int, typer.Option(help="Number of random seeds of training.", min=1, max=100)]
NWorkers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        help="Number of jobs at a time on this machine; 0: in this process. Default: one for each core, "
        "or one where they train on a GPU.",
        min=0,
    ),
]
Dask = Annotated[
    str | None,
    typer.Option(
        help="Address of a Dask scheduler whose workers run the jobs instead of this machine.",
        metavar="ADDRESS",
    ),
]


def chosen_workers(n: int | None, dask: str | None) -> Workers:
    """Where the jobs run.

    Raises:
        typer.BadParameter: a number of workers is given for a cluster.
    """
    from rtdecode.calibrate.evaluation.runner import Workers

    if dask is not None and n is not None:
        raise typer.BadParameter(
            "a cluster has its own number of workers; leave it out", param_hint="--workers"
        )
    return Workers(n, dask)
