"""`rtdecode models`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtdecode.cli.common import number, print_json, print_line, table
from rtdecode.cli.options import Json
from rtdecode.cli.runtime.rig_config import now_current, pinned_model

if TYPE_CHECKING:
    from rtdecode.stream_models import ListedModel, StreamModels

USE = "use"


def models(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="STREAM: list the models of this stream only. use STREAM ID: make the model with this id "
            "(or its first characters) the stream's current one again.",
            metavar="STREAM | use STREAM ID",
            show_default=False,
        ),
    ] = None,
    deploy: Annotated[
        str | None,
        typer.Option(
            help="Control endpoint of a running daemon to swap the model into; with use.", metavar="EP"
        ),
    ] = None,
    json: Json = False,
) -> None:
    """List the models that are or were current for each stream, or go back to one of them.

    The current one is marked *. A copy of each is kept in the user data directory.
    """
    given = words or []
    if len(given) == 3 and given[0] == USE:
        _use(given[1], given[2], deploy, json=json)
        return
    if len(given) > 1:
        raise typer.BadParameter(
            f"{' '.join(given)} is too much for a list; write STREAM, or use STREAM ID", param_hint="STREAM"
        )
    if deploy is not None:
        raise typer.BadParameter("is only used with use STREAM ID", param_hint="--deploy")
    _list(given[0] if given else None, json=json)


def _list(stream: str | None, *, json: bool) -> None:
    from rtdecode.errors import RtdecodeError
    from rtdecode.stream_models import every_stream, models_of

    streams = every_stream() if stream is None else [models_of(stream)]
    if stream is not None and not streams[0].models and streams[0].damaged is None:
        known = ", ".join(each.stream for each in every_stream())
        have = f"; those that have: {known}" if known else ""
        raise RtdecodeError(
            f"this stream has no models{have}",
            where=stream,
            fix="check its name, or make one with `rtdecode fit SESSION.h5 --current STREAM`",
        )
    if json:
        print_json({"streams": [_document(each) for each in streams]})
        return
    if not streams:
        print("no stream has a model: rtdecode fit SESSION.h5 --current STREAM makes one")
    for each in streams:
        print(each.stream)
        rows = [_row(model) for model in each.models]
        width = max((len(row[-1]) for row in rows), default=0)
        if rows:
            rows = [[*row[:-1], row[-1].ljust(width)] for row in rows]
            print(table(["  id", "kind", "current since", "R²", "from".ljust(width)], rows))
        if each.current is None and each.damaged is None:
            print_line(f"{each.stream} has no current model; go back to one: rtdecode models use STREAM ID")
        if each.damaged is not None:
            print_line(
                f"{each.damaged}: the current model cannot be read. Fix: go back to another with "
                "`rtdecode models use STREAM ID`"
            )


def _document(stream: StreamModels) -> dict[str, Any]:
    models = [model.document() for model in stream.models]
    damaged = None if stream.damaged is None else str(stream.damaged)
    return {"stream": stream.stream, "current": stream.current, "models": models, "damaged": damaged}


def _row(model: ListedModel) -> list[str]:
    kept = model.kept
    since = datetime.fromisoformat(kept.since).astimezone().strftime("%Y-%m-%d %H:%M")
    where = [
        f"{kept.rung} of {kept.base}" if kept.base else "",
        f"session {kept.session}" if kept.session else "",
        "" if model.file is not None else "MISSING",
        kept.source or "",
    ]
    made = ", ".join(filter(None, where))
    mark = "* " if model.current else "  "
    return [f"{mark}{kept.model}", kept.kind, since, number(kept.r2), made]


def _use(stream: str, prefix: str, deploy: str | None, *, json: bool) -> None:
    from rtdecode.cli.runtime.swap import check_daemon, swap_in
    from rtdecode.stream_models import use_model

    if deploy is not None:
        check_daemon(deploy, "--deploy")
    kept, current = use_model(stream, prefix)
    swapped = None if deploy is None else swap_in(str(current), deploy)["bin"]
    pinned = pinned_model(stream)
    if json:
        facts = {"stream": stream, "model": kept.model, "current": str(current), "swapped": swapped}
        print_json(facts | {"notes": [pinned] if pinned else []})
        return
    if pinned:
        print(f"note: {pinned}")
    print(f"model {kept.model} ({kept.kind}): {now_current(stream)}")
    if swapped is None:
        print("a daemon that runs keeps its model until: rtdecode swap current")
    else:
        print(f"the daemon decodes with it from bin {swapped}")
