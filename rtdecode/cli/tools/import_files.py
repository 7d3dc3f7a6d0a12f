"""`rtdecode import`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtdecode.cli.common import print_json, print_line, split_features, split_names
from rtdecode.cli.options import Json, Overwrite, output_option, parsed
from rtdecode.tools.files.choice import Choice, time_unit_s
from rtdecode.trial_rules import read_rules

if TYPE_CHECKING:
    from rtdecode.tools.files.convert import Imported
    from rtdecode.tools.files.recording import Recording

BY = ("unit", "electrode")
STAMPS = ("start", "middle", "end")


def import_files(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Files to import, each into a session: NWB, XDF, MATLAB, CSV, NPZ, or a vendor's.",
            metavar="FILE…",
        ),
    ],
    output: Annotated[
        Path | None,
        output_option(
            help="Session file to write, of one FILE; default: its name with .h5, numbered if that exists.",
            metavar="OUT.h5",
        ),
    ] = None,
    overwrite: Overwrite = False,
    show: Annotated[
        bool, typer.Option("--list", help="Print what the files hold, and import nothing.")
    ] = False,
    spikes: Annotated[
        str | None, typer.Option(help="Name of the spikes; default: the only ones.", metavar="NAME")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(help="What becomes a channel: unit (default) or electrode (its units are summed)."),
    ] = None,
    units: Annotated[
        str | None,
        typer.Option(
            help="Condition on units, such as 'quality == good and rate > 0.5'; default: all but noise.",
            metavar="CONDITION",
        ),
    ] = None,
    behavior: Annotated[
        str | None,
        typer.Option(
            help="Series of behaviour, SERIES/COLUMN, or CONTAINER of series; default: the only one.",
            metavar="NAME,…|none",
        ),
    ] = None,
    features: Annotated[
        str | None, typer.Option(help="Series beside the spikes that become features.", metavar="NAME,…")
    ] = None,
    trials: Annotated[
        str | None,
        typer.Option(
            help="Table of trials (default: the only one), or markers that make trials, such as "
            "start=trial_start*,stop=trial_end*.",
            metavar="NAME|RULES|none",
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Column of trials with x and y of the target.", metavar="COLUMN")
    ] = None,
    success: Annotated[
        str | None, typer.Option(help="Column of trials that tells their success.", metavar="COLUMN")
    ] = None,
    block: Annotated[
        str | None, typer.Option(help="Column of trials that names their block.", metavar="COLUMN")
    ] = None,
    start: Annotated[
        float | None, typer.Option("--from", help="Start of the time to import, s by the file's clock.")
    ] = None,
    stop: Annotated[
        float | None, typer.Option("--to", help="End of the time to import, s by the file's clock.")
    ] = None,
    behavior_from: Annotated[
        Path | None,
        typer.Option(help="Second file, whose behaviour, trials and markers are taken.", metavar="FILE"),
    ] = None,
    shift: Annotated[
        float, typer.Option(help="Seconds added to the times of behaviour, trials and markers.")
    ] = 0.0,
    time_unit: Annotated[
        float,
        typer.Option(
            help="Unit of the times of spikes: s, ms, us, ns, or ticks a second such as 30000; default: s.",
            metavar="UNIT",
            parser=parsed(time_unit_s),
            show_default=False,
        ),
    ] = "s",  # type: ignore[assignment]
    behavior_time_unit: Annotated[
        float,
        typer.Option(
            help="Unit of the times of behaviour, trials and markers; default: s.",
            metavar="UNIT",
            parser=parsed(time_unit_s),
            show_default=False,
        ),
    ] = "s",  # type: ignore[assignment]
    stamps: Annotated[
        str | None,
        typer.Option(
            help="Part of a bin its stamp is of: start, middle or end; default: the file's, else start."
        ),
    ] = None,
    bin_width: Annotated[
        float | None,
        typer.Option(help="Width of the file's bins, s; default: the file's, else of its stamps.", min=1e-6),
    ] = None,
    rates: Annotated[
        bool, typer.Option("--rates", help="Make counts of rates in Hz (not smoothed).")
    ] = False,
    json: Json = False,
) -> None:
    """Import recordings of other programs as session files.

    Where a file holds one candidate of each, nothing need be chosen; --list prints them.
    """
    from rtdecode.tools.files.open import open_recording

    for value, known, option in ((by, BY, "--by"), (stamps, STAMPS, "--stamps")):
        if value is not None and value not in known:
            raise typer.BadParameter(f"{value!r} is not one of {', '.join(known)}", param_hint=option)
    for number, option in ((start, "--from"), (stop, "--to"), (shift, "--shift")):
        if number is not None and not math.isfinite(number):
            raise typer.BadParameter(f"{number} is no time", param_hint=option)
    if start is not None and stop is not None and stop <= start:
        raise typer.BadParameter(f"{stop:g} is not after --from {start:g}", param_hint="--to")
    if show:
        _list([open_recording(file) for file in [*files, *([behavior_from] if behavior_from else [])]], json)
        return
    if len(files) > 1 and (output is not None or behavior_from is not None):
        raise typer.BadParameter("can be given for one FILE alone", param_hint="--output, --behavior-from")
    choice = Choice(
        spikes=spikes,
        by=by,
        units=units,
        behavior=None if behavior is None else split_features(behavior),
        features=split_names(features) or (),
        trials=None if _are_rules(trials) else trials,
        rules=parsed(read_rules)(trials) if trials is not None and _are_rules(trials) else None,
        target=target,
        success=success,
        block=block,
        from_s=-math.inf if start is None else start,
        to_s=math.inf if stop is None else stop,
        time_unit_s=time_unit,
        behavior_time_unit_s=behavior_time_unit,
        shift_s=shift,
        stamps=stamps,
        bin_width_s=bin_width,
        rates=rates,
    )
    documents: list[dict[str, Any]] = []
    try:
        for file in files:
            documents.append(_import(file, output, overwrite, choice, behavior_from))
    finally:
        # Those before one that is refused are written.
        if json and documents:
            print_json(documents[0] if len(files) == 1 else documents)


def _are_rules(trials: str | None) -> bool:
    return trials is not None and "=" in trials


def _list(recordings: list[Recording], json: bool) -> None:
    from rtdecode.tools.files.listing import lines_of, listed

    if json:
        print_json([listed(each) for each in recordings])
        return
    for recording in recordings:
        print("\n".join(lines_of(recording)))


def _import(
    file: Path, output: Path | None, overwrite: bool, choice: Choice, behavior_from: Path | None
) -> dict[str, Any]:
    from rtdecode.files import check_writable, unused
    from rtdecode.session.write import write_session
    from rtdecode.tools.files.convert import convert
    from rtdecode.tools.files.open import open_recording

    inputs = [file, *([behavior_from] if behavior_from else [])]
    named = file if file.name else file.resolve()
    place = output or unused(named.parent / f"{named.stem or 'session'}.h5")
    check_writable(place, overwrite=overwrite, inputs=inputs)
    beside = None if behavior_from is None else open_recording(behavior_from)
    imported = convert(open_recording(file), choice, beside)
    for note in imported.notes:
        print_line(f"note: {note}")
    for finding in imported.findings:
        print_line(f"warning: {finding}")
    write_session(place, imported.session)
    return _summary(file, place, imported)


def _summary(file: Path, place: Path, imported: Imported) -> dict[str, Any]:
    session = imported.session
    behavior, trials = session.behavior, session.trials
    n_spikes = (
        len(session.events.time)
        if session.events is not None
        else int(session.counts.values.sum(dtype="i8"))
        if session.counts is not None
        else 0
    )
    document: dict[str, Any] = {
        "file": str(file),
        "output": str(place),
        "channels": session.n_channels,
        "spikes": n_spikes,
        "seconds": session.end_s - session.start_s,
        "behavior": [] if behavior is None else list(behavior.names),
        "trials": None if trials is None else len(trials.start),
        "notes": list(imported.notes),
        "findings": [vars(finding) for finding in imported.findings],
    }
    line = f"{place}: {session.n_channels} channels, {n_spikes:,} spikes in {document['seconds']:,.1f} s"
    if behavior is not None:
        pairs = zip(behavior.names, behavior.units, strict=True)
        line += ", behaviour " + ", ".join(f"{name} ({unit})" if unit else name for name, unit in pairs)
    line += f", {document['trials']} trials" if trials is not None else ""
    print_line(line)
    return document
