"""`rtdecode fit`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from rtdecode.cli.calibrate.delivery import Delivery
from rtdecode.cli.calibrate.model_target import ModelTarget
from rtdecode.cli.common import number, print_json, progress_bar, split_features, split_names, table
from rtdecode.cli.options import (
    Block,
    Device,
    Json,
    Outputs,
    Overwrite,
    ReadFeatures,
    Sessions,
    output_option,
)
from rtdecode.cli.runtime.rig_config import now_current, pinned_model


def fit(
    sessions: Sessions,
    kind: Annotated[str, typer.Option(help="Kind of model: wiener, kalman, alignnet or gru.")] = "wiener",
    output: Annotated[
        Path | None,
        output_option(
            help="Model file to write; default: SESSION.fitted.safetensors beside the first session, "
            "numbered if that exists."
        ),
    ] = None,
    overwrite: Overwrite = False,
    bin_width: Annotated[float, typer.Option(help="Bin width in seconds.")] = 0.02,
    outputs: Outputs = None,
    features: ReadFeatures = None,
    labels: Annotated[
        str,
        typer.Option(
            help="Labels: recorded (behaviour), or refit (relabel a closed-loop session with intended "
            "velocities towards each trial's target, ReFIT; default of --outputs: the cursor's velocity)."
        ),
    ] = "recorded",
    block: Block = None,
    holdout: Annotated[float, typer.Option(help="Held-out fraction at the end of each session.")] = 0.2,
    seed: Annotated[
        int,
        typer.Option(help="Random seed of a network's training and of event times in coarse counts.", min=0),
    ] = 0,
    device: Device = "auto",
    steady_state: Annotated[
        bool, typer.Option("--steady-state", help="Use the steady-state gain (kalman).")
    ] = False,
    current: Annotated[
        str | None,
        typer.Option(help="Stream whose current model it becomes; default: none.", metavar="STREAM"),
    ] = None,
    json: Json = False,
) -> None:
    """Fit a decoder to recorded sessions and score it on the last fifth of each."""
    if steady_state and kind != "kalman":
        raise typer.BadParameter(
            f"only --kind kalman has a steady state, not {kind}", param_hint="--steady-state"
        )

    from rtdecode.calibrate.fitting.fit import fit_sessions
    from rtdecode.calibrate.fitting.training_set import FitSettings
    from rtdecode.calibrate.run import Run

    started = time.perf_counter()
    target = ModelTarget(output, sessions[0], "fitted", overwrite)
    target.check(sessions)
    with progress_bar() as progress:
        result = fit_sessions(
            sessions,
            kind,
            bin_width,
            split_names(outputs),
            settings=FitSettings(
                holdout=holdout,
                labels=labels,
                blocks=block or (),
                features=split_features(features),
                steady_state=steady_state,
            ),
            run=Run(seed=seed, device=device),
            progress=progress,
        )
    done = Delivery(target, accepted=True, stream=current, daemon=None).carry_out(result.artifact)
    pinned = pinned_model(current) if current else None
    scores = result.scores
    document: dict[str, Any] = {
        "output": str(done.output),
        "outputs": list(result.artifact.output_names),
        "seconds": time.perf_counter() - started,
        "holdout": {"r2": scores.r2, "pcc": scores.pcc, "seconds": result.holdout_s},
        "training": {"r2": scores.training_r2},
        "fifths": {"r2": scores.blocks_r2},
        "kind": kind,
        "labels": labels,
        "model": result.artifact.model_id,
        "bin_width_s": result.artifact.bin_width_s,
        "current": str(done.current) if done.current else None,
        "notes": [*result.notes, *([pinned] if pinned else [])],
    }
    if json:
        print_json(document)
    else:
        _print(document, current)
    if done.problem is not None:
        raise done.problem


def _print(document: dict[str, Any], stream: str | None) -> None:
    for note in document["notes"]:
        print(f"note: {note}")
    held_out = document["holdout"]
    learnt = document["training"]["r2"]
    scores = zip(document["outputs"], held_out["r2"], held_out["pcc"], learnt, strict=True)
    against = ", against intended velocities" if document["labels"] == "refit" else ""
    print(f"hold-out: the last {held_out['seconds']:.0f} s{against}")
    print(
        table(
            ["output", "R²", "PCC", "R² in training"],
            [[name, number(r2), number(pcc), number(before)] for name, r2, pcc, before in scores],
        )
    )
    print(
        f"model {document['model']} ({document['kind']}) written to {document['output']} in "
        f"{document['seconds']:.1f} s"
    )
    if document["current"]:
        print(now_current(stream or ""))
