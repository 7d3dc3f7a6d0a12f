"""`rtdecode swap`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rtdecode.cli.common import print_json
from rtdecode.cli.options import Control, Json
from rtdecode.cli.runtime.rig_config import rig_settings


def swap(
    model: Annotated[str, typer.Argument(help="Model file or name.", metavar="PATH|NAME")],
    control: Control = None,
    json: Json = False,
) -> None:
    """Swap the model of a running daemon.

    The daemon loads the new model, warms it up on the last 2 s and swaps between two bins. If anything is
    wrong with it, the previous model continues, and the exit status is 1.
    """
    swapped = swap_in(model, control)
    if json:
        print_json(swapped)
    else:
        print("model {model} decodes from bin {bin}, from {path}".format(**swapped))


def swap_in(model: str, control: str | None) -> dict[str, Any]:
    """Request a swap from a daemon.

    Args:
        model: path or name.
        control: endpoint; None for rig.toml's, else the default.

    Returns:
        `path` and `model` (its id), and `bin`, the first bin that it decodes.

    Raises:
        RtdecodeError: there is no such model, no daemon answers, or it refuses.
    """
    from rtdecode.artifact import read_artifact
    from rtdecode.client import ControlClient
    from rtdecode.messages import CONTROL_ENDPOINT
    from rtdecode.model_store import find_model

    path = find_model(model).absolute()
    model_id = read_artifact(path, train=False).model_id
    endpoint = control or rig_settings().get("control") or CONTROL_ENDPOINT
    return {"path": str(path), "model": model_id, "bin": ControlClient(endpoint).swap(path)}
