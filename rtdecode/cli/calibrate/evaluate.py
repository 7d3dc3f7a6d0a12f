"""`rtdecode evaluate`: score models on new days."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from rtdecode.cli.calibrate.first_seconds import Asked, first_seconds
from rtdecode.cli.common import (
    needs_packages,
    print_json,
    progress_bar,
    refuse_missing,
    split_names,
    table,
)
from rtdecode.cli.options import (
    Dask,
    Device,
    JobsFolder,
    Json,
    NWorkers,
    Outputs,
    Seeds,
    Sessions,
    chosen_workers,
)
from rtdecode.errors import RtdecodeError
from rtdecode.files import make_folder, replace_file

FEW_SHOT, FIRST_SECONDS = "few-shot", "first-seconds"
DEFAULT_KINDS = ("alignnet", "wiener")
DEFAULT_MINUTES = "0,0.5,1,2,4"

#: Options of one protocol, by parameter.
OF_ONE = {
    FEW_SHOT: ("minutes", "labelled"),
    FIRST_SECONDS: ("seconds", "rungs", "bin_width", "outputs", "reference"),
}


class EvaluateCommand(TyperCommand):
    """Refuses options of another protocol, and points to `rtdecode study` if options ask for it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the options.

        Raises:
            RtdecodeError: --protocol names another protocol.
            typer.BadParameter: an option is of `study` alone, or of the other protocol.
        """
        for i, argument in enumerate(args):
            flag, is_one, value = argument.partition("=")
            if flag == "--protocol" and (is_one or i + 1 < len(args)):
                _check_protocol(value if is_one else args[i + 1])
        group = ctx.parent.command
        study = {flag for option in group.get_command(ctx.parent, "study").params for flag in option.opts}
        of_study_alone = study - {flag for option in self.params for flag in option.opts}
        flags = (argument.partition("=")[0] for argument in args)
        if flag := next((flag for flag in flags if flag in of_study_alone), ""):
            raise typer.BadParameter(
                "belongs to `rtdecode study`. Fix: leave it out, or run rtdecode study",
                param_hint=flag,
            )
        rest = super().parse_args(ctx, args)
        for protocol, names in OF_ONE.items():
            for option in self.params:
                typed = ctx.get_parameter_source(option.name).name == "COMMANDLINE"
                if option.name in names and typed and ctx.params["protocol"] != protocol:
                    raise typer.BadParameter(
                        f"belongs to --protocol {protocol}. Fix: leave it out, or give --protocol {protocol}",
                        param_hint=option.opts[0],
                    )
        return rest


def evaluate(
    sessions: Sessions,
    output: JobsFolder,
    protocol: Annotated[
        str,
        typer.Option(
            help="Protocol: few-shot (some labelled minutes, then the day's last fifth) or first-seconds "
            "(Makin's split: the day's first seconds, then all the rest)."
        ),
    ] = FEW_SHOT,
    base: Annotated[
        list[str] | None,
        typer.Option(help="Model made by `rtdecode pretrain`, a file or a name; may be given several times."),
    ] = None,
    kinds: Annotated[
        str | None,
        typer.Option(
            help="Kinds of decoder. few-shot: alignnet, gru (each needs a --base of its kind) and wiener; "
            f"default: {','.join(DEFAULT_KINDS)}. first-seconds: wiener, kalman, alignnet and gru, learnt "
            "from scratch; default: all, or none with --base."
        ),
    ] = None,
    minutes: Annotated[
        str, typer.Option(help="Numbers of labelled minutes; 0: spikes only (few-shot).")
    ] = DEFAULT_MINUTES,
    labelled: Annotated[
        str,
        typer.Option(
            "--labelled",
            "--known",
            help="Part of the day that is labelled: last (just before the test fifth) or first (few-shot).",
        ),
    ] = "last",
    seconds: Annotated[float, typer.Option(help="Labelled seconds to learn from (first-seconds).")] = 320.0,
    rungs: Annotated[
        str | None,
        typer.Option(
            help="Calibration methods of each --base: unsup, readout, readin, full (first-seconds). Default: "
            "unsup,full."
        ),
    ] = None,
    bin_width: Annotated[
        float | None,
        typer.Option(
            help="Bin width, s (first-seconds). Default: the base's, else that of the first session's "
            "counts, or 0.02."
        ),
    ] = None,
    outputs: Outputs = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="Scores to compare with: a CSV file with the columns session and the outputs "
            "(first-seconds).",
            metavar="CSV",
        ),
    ] = None,
    seeds: Seeds = 1,
    workers: NWorkers = None,
    dask: Dask = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Score models on new days, by the number of labelled minutes or after the first seconds of each.

    An interrupted evaluation resumes when the same command is run again.
    """
    if protocol == FIRST_SECONDS:
        asked = Asked(
            base=base or (),
            kinds=split_names(kinds),
            rungs=split_names(rungs),
            seconds=seconds,
            bin_width_s=bin_width,
            outputs=split_names(outputs),
            reference=reference,
            seeds=seeds,
            device=device,
        )
        first_seconds(sessions, output, asked, workers, dask, json)
        return
    from rtdecode.calibrate.data.splits import LABELLED_PARTS
    from rtdecode.models.kinds.registry import NETWORKS

    known = (*NETWORKS, "wiener")
    given = _minutes(minutes)
    chosen = DEFAULT_KINDS if kinds is None else split_names(kinds) or ()
    if not set(chosen) <= set(known):
        raise typer.BadParameter(f"must be some of {', '.join(known)}, not {kinds}", param_hint="--kinds")
    if labelled not in LABELLED_PARTS:
        raise typer.BadParameter(
            f"must be {' or '.join(LABELLED_PARTS)}, not {labelled}", param_hint="--labelled"
        )
    with needs_packages("evaluating networks", "evaluate"):
        from rtdecode.calibrate.evaluation.fewshot.plan import FewShotSettings
        from rtdecode.calibrate.evaluation.fewshot.run import few_shot

        runs_on = chosen_workers(workers, dask)
    from rtdecode.calibrate.evaluation.fewshot.report import draw, table_rows

    files = _files(base or [], chosen)
    make_folder(output)
    settings = FewShotSettings(
        minutes=given, labelled=labelled, seeds=range(seeds), wiener="wiener" in chosen, device=device
    )
    with progress_bar() as progress:
        done = few_shot(sessions, files, output, settings, workers=runs_on, progress=progress)
    document = [score.as_json() for score in done.results]
    replace_file(output / "results.json", (jsonlib.dumps(document, indent=1) + "\n").encode())
    if done.results:
        draw(done.results, output / "few-shot.png")
    if json:
        print_json(document)
    elif done.results:
        for note in done.notes:
            print(f"note: {note}")
        print(table(*table_rows(done.results)))
        print(f"R² on the last fifth of each day; written to {output}/results.json and few-shot.png")
    refuse_missing(done.missing, len(done.results) + len(done.missing), output)


def _files(bases: list[str], kinds: tuple[str, ...]) -> list[Path]:
    """The files of the bases; every network of `kinds` has one, and every base is of one of them."""
    from rtdecode.artifact import read_artifact
    from rtdecode.model_store import find_model

    files = [find_model(name) for name in bases]
    found = [read_artifact(path, train=False).kind for path in files]
    networks = [kind for kind in kinds if kind != "wiener"]
    for kind in networks:
        if kind not in found:
            raise RtdecodeError(
                f"no base is of kind {kind}",
                where="--kinds",
                fix=f"name one with --base, made by rtdecode pretrain --kind {kind}",
            )
    for name, kind in zip(bases, found, strict=True):
        if kind not in networks:
            raise RtdecodeError(
                f"is of kind {kind}, which --kinds does not name",
                where=name,
                fix=f"leave it out, or give --kinds {','.join([*kinds, kind])}",
            )
    return files


def _minutes(text: str) -> list[float]:
    try:
        given = [float(part) for part in text.split(",")]
    except ValueError:
        given = []
    if not given or given != sorted(set(given)) or not 0.0 <= given[0] <= given[-1] < 1e4:
        raise typer.BadParameter(
            f"must be increasing numbers such as 0,0.5,1,2,4, got {text}", param_hint="--minutes"
        )
    return given


def _check_protocol(value: str) -> None:
    names = split_names(value) or ()
    if len(names) == 1 and names[0] in OF_ONE:
        return
    fix = f"run rtdecode study --protocol {value} for the paper's protocols"
    if set(names) & set(OF_ONE):
        fix = f"give --protocol {FEW_SHOT} or --protocol {FIRST_SECONDS}"
    raise RtdecodeError(
        f"evaluate has no protocol {value}: it runs {FEW_SHOT} or {FIRST_SECONDS}",
        where="--protocol",
        fix=fix,
    )
