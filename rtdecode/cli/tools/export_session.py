"""`rtdecode export`."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtdecode.cli.common import print_json, print_line
from rtdecode.cli.options import Json, Overwrite, as_session, output_option

if TYPE_CHECKING:
    from rtdecode.session.layout import Session


class Format(StrEnum):
    """Formats that a session is written in."""

    NWB = "nwb"
    NPZ = "npz"
    CSV = "csv"
    XDF = "xdf"


def export_session(
    session: Annotated[Path, typer.Argument(help="Session file (.h5, or an importable one).")],
    to: Annotated[Format, typer.Option(help="Format: nwb, npz, csv (a folder of tables) or xdf.")],
    output: Annotated[
        Path | None,
        output_option(
            help="File to write (csv: folder); default: SESSION's name with the format's ending, numbered if "
            "that exists.",
            metavar="OUT",
        ),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Export a session to another format: spikes, behaviour, trials, markers, and what was decoded.

    An import of the file gives every spike, stamp and value again.
    """
    from rtdecode.errors import RtdecodeError
    from rtdecode.files import check_writable, unused
    from rtdecode.session.read import read_session

    ending = "" if to is Format.CSV else f".{to.value}"
    place = output or unused(session.with_name(f"{session.stem}{ending or '.csv'}"))
    if to is Format.CSV and place.is_dir():
        if not overwrite:
            fix = f"choose another name, such as {unused(place).name}"
            raise RtdecodeError("exists already", where=str(place), fix=fix)
    else:
        check_writable(place, overwrite=overwrite, inputs=[session])
    # Its name is of what was named, which may be converted elsewhere.
    read = read_session(as_session(session) or session)
    _writer(to)(place, read)
    document: dict[str, Any] = {"session": str(session), "output": str(place), "format": to.value}
    if json:
        print_json(document | {"notes": list(read.notes)})
        return
    for note in read.notes:
        print_line(f"note: {note}")
    print(f"{session}: exported to {place}")


def _writer(to: Format) -> Callable[[Path, Session], object]:
    if to is Format.XDF:
        from rtdecode.tools.files.export.xdf import write_xdf

        return write_xdf
    if to is Format.NWB:
        from rtdecode.tools.files.export.nwb import write_nwb

        return write_nwb
    if to is Format.NPZ:
        from rtdecode.tools.files.export.npz import write_npz

        return write_npz
    from rtdecode.tools.files.export.csv import write_csv

    return write_csv
