"""`rtdecode pretrain`."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from rtdecode.cli.common import (
    JSON_HELP,
    needs_training_packages,
    number,
    print_json,
    progress_bar,
    split_names,
    table,
)


def pretrain(
    sessions: Annotated[
        list[Path],
        typer.Argument(help="Session files (.h5), one a day, in their order.", metavar="SESSION…"),
    ],
    output: Annotated[Path, typer.Option(help="Model file to write.")],
    kind: Annotated[str, typer.Option(help="alignnet or gru.")] = "alignnet",
    bin_width: Annotated[float, typer.Option(help="Bin width in seconds.")] = 0.02,
    outputs: Annotated[
        str | None, typer.Option(help="Which behaviour to decode, such as x,y; default: all.")
    ] = None,
    direction: Annotated[
        str,
        typer.Option(
            help="What the model is for: decode behaviour, or simulate spikes from it (alignnet; for "
            "`simulate`, `subject --generator`)."
        ),
    ] = "decode",
    form: Annotated[
        str,
        typer.Option(
            help="causal; or offline, which looks ahead (alignnet): for `simulate` and `study`, no daemon "
            "can serve it."
        ),
    ] = "causal",
    validation_days: Annotated[
        int,
        typer.Option(
            help="Days kept back, spread evenly, and decoded from their spikes alone: how far is training?",
            min=0,
        ),
    ] = 0,
    steps: Annotated[int | None, typer.Option(help="Batches; default: what the kind needs.", min=1)] = None,
    members: Annotated[
        int | None,
        typer.Option(
            help="Networks that the model is the mean of; default: 2 for alignnet, 1 for gru.", min=1
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.", min=0)] = 0,
    device: Annotated[str, typer.Option(help="auto (a GPU if there is one), cpu, cuda …")] = "auto",
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Saved to every 30 s and gone on from after an interruption; default: OUTPUT.checkpoint."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Train one network on many days, to start from on a new one.

    Under torchrun several processes train it together, each on its part of the sessions (docs/scaling.md).

    Run the same command again after an interruption and it goes on where it was; the weights come out the
    same.
    """
    with needs_training_packages("training a network", "pretrain"):
        from rtdecode.calibrate.fitting.pretrain import STEPS, pretrain_sessions
        from rtdecode.calibrate.training.checkpoint import checkpoint_files
        from rtdecode.calibrate.training.distributed.ranks import joined
    from rtdecode.artifact import write_artifact
    from rtdecode.session.target import check_writable

    saved = checkpoint or output.with_suffix(".checkpoint")
    with joined(device) as ranks, progress_bar() if ranks.leads else nullcontext() as progress:
        if ranks.leads:
            check_writable(output)
            check_writable(saved)
        result = pretrain_sessions(
            sessions,
            kind=kind,
            bin_width_s=bin_width,
            outputs=split_names(outputs),
            direction=direction,
            form=form,
            validation_days=validation_days,
            steps=steps if steps is not None else STEPS,
            members=members,
            seed=seed,
            device=device,
            checkpoint=saved,
            progress=progress,
            ranks=ranks,
        )
        if ranks.leads:
            write_artifact(output, result.artifact)
    if not ranks.leads:
        return
    # Only now: until the model is written, the checkpoints are all there is.
    for path in checkpoint_files(saved, len(result.logs)):
        path.unlink(missing_ok=True)
    names = list(result.artifact.output_names)
    document: dict[str, Any] = {
        "output": str(output),
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
        print(f"decoded from their spikes alone: {', '.join(result.validation)}")
        rows = [[name, number(r2)] for name, r2 in zip(names, result.validation_r2, strict=True)]
        print(table(["output", "R²"], rows))
    print(f"model {result.artifact.model_id} ({kind}) written to {output} in {result.seconds:.0f} s")
