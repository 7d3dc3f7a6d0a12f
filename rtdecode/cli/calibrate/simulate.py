"""`rtdecode simulate`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtdecode.cli.common import needs_packages, number, print_json, print_line, table
from rtdecode.cli.options import Json, Overwrite, output_option, session_argument

if TYPE_CHECKING:
    from rtdecode.calibrate.simulation import Simulation

#: Number of channels in the table.
SHOWN = 8


def simulate(
    session: Annotated[Path, session_argument("Session file (.h5, or importable) with behaviour.")],
    model: Annotated[
        str, typer.Option(help="Model made by `rtdecode pretrain`: a file or a name.", metavar="PATH|NAME")
    ],
    output: Annotated[Path, output_option(help="Session file to write.", metavar="OUT.h5")],
    seed: Annotated[int, typer.Option(help="Random seed of the spikes.", min=0)] = 0,
    read_in: Annotated[
        str | None,
        typer.Option(
            "--rates-of",
            "--session",
            help="Training day whose channel statistics are used; default: this session's spikes if it has "
            "the model's channels, else the day that the model was exported for.",
            metavar="NAME",
        ),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Simulate spikes for a session's behaviour: a session to replay, compared with what was recorded."""
    with needs_packages("simulating spikes", "simulate"):
        from rtdecode.calibrate.simulation import simulate_session
    from rtdecode.artifact import read_artifact
    from rtdecode.errors import located
    from rtdecode.files import check_writable, unused
    from rtdecode.model_store import find_model
    from rtdecode.session.read import read_session
    from rtdecode.session.write import write_session

    check_writable(output, overwrite=overwrite, inputs=[session])
    path = find_model(model)
    artifact = read_artifact(path)
    recorded = read_session(session)
    started = time.perf_counter()
    # An error about the model itself has no place.
    with located(path):
        made = simulate_session(recorded, artifact, seed=seed, read_in=read_in)
    written = output if overwrite else unused(output)
    write_session(written, made.session)
    seconds = time.perf_counter() - started
    document = _document(made, str(written), artifact.model_id, seed, seconds)
    if json:
        print_json(document)
        return
    for note in made.notes:
        print_line(f"note: {note}")
    print(
        f"{written}: {document['spikes']} spikes on {made.session.n_channels} channels in "
        f"{len(made.labelled)} bins of {artifact.bin_width_s * 1e3:g} ms, seed {seed}, rates of "
        f"{made.read_in}"
    )
    print(comparison_table(made))


def _document(made: Simulation, output: str, model: str, seed: int, seconds: float) -> dict[str, Any]:
    recorded = made.comparison
    assert made.session.events is not None
    return {
        "output": output,
        "model": model,
        "seed": seed,
        "session": made.read_in,
        "bins": len(made.labelled),
        "known_bins": int(made.labelled.sum()),
        "channels": made.session.n_channels,
        "spikes": len(made.session.events.time),
        "pcc": None if recorded is None else recorded.pcc,
        "firing": {"recorded": None if recorded is None else recorded.firing, "simulated": made.firing},
        "rate_hz": {"recorded": None if recorded is None else recorded.rate_hz, "simulated": made.rate_hz},
        "seconds": seconds,
        "notes": made.notes,
    }


def comparison_table(made: Simulation) -> str:
    """Table of rates, fractions and correlations: over channels, and of those that fire most."""
    import numpy as np

    recorded = made.comparison
    if recorded is None:
        headings, digits, columns = ["channels", "Hz", "fires in"], [1, 3], [made.rate_hz, made.firing]
    else:
        names = ("Hz", "Hz simulated", "fires in", "fires in, simulated", "PCC")
        headings, digits = ["channels", *names], [1, 1, 3, 3, 3]
        columns = [recorded.rate_hz, made.rate_hz, recorded.firing, made.firing, recorded.pcc]
    rows = []
    finite = [column[np.isfinite(column)] for column in columns]
    for name, of in (
        ("mean", np.mean),
        ("lower quartile", lambda x: np.quantile(x, 0.25)),
        ("median", np.median),
        ("upper quartile", lambda x: np.quantile(x, 0.75)),
    ):
        cells = (float(of(column)) if column.size else None for column in finite)
        rows.append([name, *(number(cell, n) for cell, n in zip(cells, digits, strict=True))])
    for channel in np.argsort(-columns[0], kind="stable")[:SHOWN]:
        cells = (float(column[channel]) for column in columns)
        rows.append([f"channel {channel}", *(number(cell, n) for cell, n in zip(cells, digits, strict=True))])
    return table(headings, rows)
