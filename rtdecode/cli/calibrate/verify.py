"""`rtdecode verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtdecode.cli.common import print_json, progress_bar, table
from rtdecode.cli.options import CountsSeed, Json, session_argument

if TYPE_CHECKING:
    from rtdecode.calibrate.verification.verify import Verification


def verify(
    session: Annotated[Path, session_argument("Session file (.h5, or importable) whose bins are compared.")],
    model: Annotated[str, typer.Option(help="Model file or name.", metavar="PATH|NAME")],
    until: Annotated[
        float | None, typer.Option("--to", help="Number of seconds to compare; default: all.", min=0.001)
    ] = None,
    save_at: Annotated[
        int | None,
        typer.Option(
            help="Number of bins after which the state is saved and restored, once; default: often.", min=1
        ),
    ] = None,
    seed: CountsSeed = 0,
    device: Annotated[str, typer.Option(help="Torch device, such as cpu or cuda.")] = "cpu",
    json: Json = False,
) -> None:
    """Verify on a session that the live engine computes what torch computes, to the bit.

    Torch over many bins at once and bin by bin, the engine over many bins and bin by bin, and both from a
    saved state: every spike must be the same, and every output within 1e-5 of its SD. Exits with 1 if not.
    """
    from rtdecode.artifact import read_artifact
    from rtdecode.calibrate.verification.verify import verify_model
    from rtdecode.decode.inputs import feature_columns, session_inputs, session_starts
    from rtdecode.errors import RtdecodeError, located
    from rtdecode.model_store import find_model
    from rtdecode.session.bins import bin_session, starts_in
    from rtdecode.session.read import read_session

    path = find_model(model)
    artifact = read_artifact(path)
    recorded = read_session(session)
    counts, features = session_inputs(recorded, artifact, seed), None
    starts = session_starts(recorded, artifact, seed)
    # Of what was decoded live, the codes are the input.
    if artifact.features and recorded.decoded is None:
        features = bin_session(recorded, artifact.bin_width_s, seed).features
        assert features is not None
        features = features[:, feature_columns(recorded, [each.name for each in artifact.features])]
    if until is not None:
        first = slice(max(1, round(until / artifact.bin_width_s)))
        counts, features = counts[first], None if features is None else features[first]
        starts = starts_in(starts, slice(0, len(counts)))
    saves = None if save_at is None else (save_at,)
    with located(path), progress_bar() as progress:
        result = verify_model(
            artifact,
            counts,
            features=features,
            starts=starts,
            save_at=saves,
            device=device,
            progress=progress,
        )
    about = {"model": artifact.model_id, "kind": artifact.kind, "channels": artifact.n_channels}
    about |= {"bin_width_s": artifact.bin_width_s, "device": device, "features": len(artifact.features)}
    if json:
        print_json(_document(result) | about)
    else:
        _show(result, about)
    if not result.agrees:
        raise RtdecodeError(
            f"is decoded differently by the backends: {_disagreement(result)}",
            where=str(path),
            fix="do not serve it here, and report this with the model file and `rtdecode doctor`",
        )


def _document(result: Verification) -> dict[str, Any]:
    kept = ["bins", "agrees", "spike_mismatches", "max_output_diff_sd", "value_mismatches", "step_us"]
    kept += [
        "effective_acs",
        "dense_macs",
        "code_mismatches",
        "clipped",
        "clipped_by_reference",
        "spikes",
        "reference",
    ]
    return {name: getattr(result, name) for name in kept} | {
        "ways": {name: vars(backend) for name, backend in result.backends.items()},
        "layers": [
            {
                "name": layer.name,
                "units": layer.n_units,
                "frames": layer.frames,
                "rate": layer.rate,
                "spikes": layer.spikes,
                "mismatches": layer.mismatches,
            }
            for layer in result.layers
        ],
        "saved_at": list(result.saved_at),
        "seconds": result.seconds,
    }


def _show(result: Verification, about: dict[str, Any]) -> None:
    saves = len(result.saved_at)
    print(
        f"{result.bins} bins of {about['bin_width_s'] * 1e3:g} ms, {about['kind']} {about['model']}; "
        f"state saved and restored {saves} time{'' if saves == 1 else 's'}; {result.seconds:.1f} s"
    )
    rows = [
        [name, str(backend.spike_mismatches), f"{backend.max_output_diff_sd:.1e}"]
        for name, backend in result.backends.items()
    ]
    print(table([f"against {result.reference}", "spikes that differ", "largest difference, SD"], rows))
    if result.layers:
        rows = [
            [layer.name, str(layer.n_units), f"{layer.rate:.1%}", str(layer.spikes), str(layer.mismatches)]
            for layer in result.layers
        ]
        print(table(["layer", "neurons", "fire", "spikes", "differ"], rows))
        print(f"{result.spike_mismatches} mismatches, {result.spikes} spikes in each backend")
    else:
        print(f"0 of 0 spikes differ: a {about['kind']} model does not spike")
    if about["features"]:
        print(f"{result.code_mismatches} codes of {about['features']} features differ from plain NumPy's")
    print(
        f"{result.value_mismatches} values of its steps or restored states differ from the engine's own run"
    )
    print(
        f"a step takes p50 {result.step_us['p50']:.1f}, p99 {result.step_us['p99']:.1f} µs and "
        f"{result.effective_acs:.0f} accumulations, a dense network {result.dense_macs:.0f}; "
        f"{result.clipped} counts were clipped"
    )


def _disagreement(result: Verification) -> str:
    found = []
    if result.spike_mismatches:
        wrong = [name for name, backend in result.backends.items() if backend.spike_mismatches]
        found.append(f"{result.spike_mismatches} spike mismatches ({', '.join(wrong)})")
    if result.value_mismatches:
        found.append(f"{result.value_mismatches} values of the engine's own steps or restored states")
    if result.code_mismatches:
        found.append(f"{result.code_mismatches} codes of features")
    found.append(f"outputs up to {result.max_output_diff_sd:.2g} SD apart")
    if result.clipped != result.clipped_by_reference:
        found.append(f"{result.clipped} counts clipped, {result.clipped_by_reference} by {result.reference}")
    return "; ".join(found)
