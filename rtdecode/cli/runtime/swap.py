"""`rtdecode swap`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rtdecode.cli.common import print_json
from rtdecode.cli.options import Control, Json
from rtdecode.cli.runtime.rig_config import rig_settings

#: How long a daemon may take to say that it runs, seconds.
ANSWER_S = 2.0


def swap(
    model: Annotated[
        str,
        typer.Argument(
            help="Model file or name; current: the current model of the daemon's stream.",
            metavar="PATH|NAME",
        ),
    ],
    control: Control = None,
    json: Json = False,
) -> None:
    """Swap the model of a running daemon.

    The daemon loads the new model, warms it up on the last 2 s and swaps between two bins. If anything is
    wrong with it, the previous model continues, and the exit status is 1.
    """
    from rtdecode.messages import CONTROL_ENDPOINT

    endpoint = control or rig_settings().get("control") or CONTROL_ENDPOINT
    status = check_daemon(endpoint)
    swapped = swap_in(model, endpoint, served_stream(status))
    if json:
        print_json(swapped)
    else:
        print("model {model} decodes from bin {bin}, from {path}".format(**swapped))


def check_daemon(endpoint: str, flag: str | None = None, *, timeout_s: float = ANSWER_S) -> dict[str, Any]:
    """The status of a running daemon, before work is done for it.

    Args:
        endpoint: its control endpoint.
        flag: option that gave it, for the error.
        timeout_s: longest wait for the answer, seconds.

    Raises:
        RtdecodeError: it is not an endpoint, or no daemon answers there in time.
    """
    from rtdecode.client import ControlClient
    from rtdecode.endpoints import check_connect
    from rtdecode.errors import RtdecodeError

    client = ControlClient(check_connect(endpoint, flag), timeout_s=timeout_s)
    try:
        return client.request("status")
    except RtdecodeError as error:
        otherwise = "" if flag is None else f", or leave {flag} out and swap later"
        raise RtdecodeError(
            f"no daemon answers at {endpoint}, so nothing was done ({error.what})",
            where=flag,
            fix=f"start rtdecode serve, or give its --control endpoint{otherwise}",
        ) from error


def served_stream(status: dict[str, Any]) -> str | None:
    """The name of a daemon's stream; None if its status lacks it."""
    stream = status.get("stream")
    return stream.get("name") if isinstance(stream, dict) else None


def swap_in(model: str, endpoint: str, stream: str | None = None) -> dict[str, Any]:
    """Request a swap from a daemon.

    Args:
        model: path or name; "current" for the current model of `stream`.
        endpoint: its control endpoint.
        stream: the daemon's stream.

    Returns:
        `path` and `model` (its id), and `bin`, the first bin that it decodes.

    Raises:
        RtdecodeError: there is no such model, no daemon answers, or it refuses.
    """
    from rtdecode.artifact import read_artifact
    from rtdecode.client import ControlClient
    from rtdecode.model_store import find_model

    path = find_model(model, stream).absolute()
    model_id = read_artifact(path, train=False).model_id
    return {"path": str(path), "model": model_id, "bin": ControlClient(endpoint).swap(path)}
