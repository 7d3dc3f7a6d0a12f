"""`rtdecode pretrain`."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from rtdecode.cli.calibrate.model_target import ModelTarget
from rtdecode.cli.common import (
    needs_packages,
    number,
    print_json,
    progress_bar,
    split_features,
    split_names,
    table,
)
from rtdecode.cli.options import Device, Json, Outputs, Overwrite, ReadFeatures, Seed, Sessions, output_option


def pretrain(
    sessions: Sessions,
    output: Annotated[Path, output_option(help="Model file to write.")],
    kind: Annotated[str, typer.Option(help="Kind of model: alignnet or gru.")] = "alignnet",
    bin_width: Annotated[float, typer.Option(help="Bin width in seconds.")] = 0.02,
    outputs: Outputs = None,
    features: ReadFeatures = None,
    direction: Annotated[
        str,
        typer.Option(
            help="Direction of the model: decode behaviour, or simulate spikes from it (alignnet; for "
            "`simulate`, `subject --generator`)."
        ),
    ] = "decode",
    form: Annotated[
        str,
        typer.Option(
            "--causality",
            "--form",
            help="Causality: causal; or offline, non-causal (alignnet), for `simulate` and `study`: no "
            "daemon can serve it.",
        ),
    ] = "causal",
    validation_days: Annotated[
        int,
        typer.Option(
            help="Number of held-out days, evenly spaced, for zero-shot validation.",
            min=0,
        ),
    ] = 0,
    steps: Annotated[int | None, typer.Option(help="Number of batches; default: 800.", min=1)] = None,
    members: Annotated[
        int | None,
        typer.Option(help="Number of networks in the ensemble; default: 2 for alignnet, 1 for gru.", min=1),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    checkpoint: Annotated[
        Path | None,
        output_option(
            help="Checkpoint file, written every 30 s; training resumes from it. Default: OUTPUT.checkpoint."
        ),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Train one model on many days, from which a new day is calibrated.

    Under torchrun several processes train it together, each on its part of the sessions (docs/scaling.md).

    After an interruption, run the same command again: training resumes, and the weights are the same.
    """
    with needs_packages("training a network", "pretrain"):
        from rtdecode.calibrate.fitting.pretrain import PretrainSettings, pretrain_sessions
        from rtdecode.calibrate.training.checkpoint import checkpoint_files
        from rtdecode.calibrate.training.distributed.ranks import connected
    from rtdecode.calibrate.progress import ignore
    from rtdecode.calibrate.run import Run
    from rtdecode.files import check_writable

    target = ModelTarget(output, sessions[0], "pretrained", overwrite)
    saved = checkpoint or output.with_suffix(".checkpoint")
    with connected(device) as ranks, progress_bar() if ranks.leads else nullcontext(ignore) as progress:
        if ranks.leads:
            target.check(sessions)
            # That of an interrupted training is resumed; one of anything else is refused.
            check_writable(saved, overwrite=True, inputs=sessions)
        result = pretrain_sessions(
            sessions,
            PretrainSettings(
                kind=kind,
                bin_width_s=bin_width,
                outputs=split_names(outputs),
                features=split_features(features),
                direction=direction,
                causality=form,
                validation_days=validation_days,
                members=members,
                steps=steps if steps is not None else PretrainSettings.steps,
            ),
            Run(seed=seed, device=device, ranks=ranks),
            checkpoint=saved,
            progress=progress,
        )
        if not ranks.leads:
            return
        written = target.write(result.artifact)
    # Not before the model is written: until then the checkpoints are the only copy.
    for path in checkpoint_files(saved, len(result.logs)):
        path.unlink(missing_ok=True)
    names = list(result.artifact.output_names)
    document: dict[str, Any] = {
        "output": str(written),
        "outputs": names,
        "seconds": result.seconds,
        "kind": kind,
        "direction": direction,
        "form": form,
        "model": result.artifact.model_id,
        "bin_width_s": result.artifact.bin_width_s,
        "sessions": len(sessions),
        "members": [{"steps": log.steps, "best_step": log.best_step} for log in result.logs],
        "validation": {"sessions": result.validation, "r2": list(result.validation_r2)},
        "notes": result.notes,
    }
    if json:
        print_json(document)
        return
    for note in result.notes:
        print(f"note: {note}")
    if result.validation:
        print(f"zero-shot validation on {', '.join(result.validation)}")
        rows = [[name, number(r2)] for name, r2 in zip(names, result.validation_r2, strict=True)]
        print(table(["output", "R²"], rows))
    print(f"model {result.artifact.model_id} ({kind}) written to {written} in {result.seconds:.0f} s")
