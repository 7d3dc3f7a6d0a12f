"""`rtdecode bench …`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtdecode.cli.common import needs_packages, number, print_json, print_line, table
from rtdecode.cli.options import Json, as_session

if TYPE_CHECKING:
    from rtdecode.tools.bench.compare import Compared

app = typer.Typer(no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Benchmark this version on this machine."""


@app.command()
def latency(
    channels: Annotated[int, typer.Option(help="Number of simulated channels.", min=1)] = 64,
    rate: Annotated[float, typer.Option(help="Firing rate of a channel, Hz.", min=0.1)] = 15.0,
    push: Annotated[
        float, typer.Option(help="Interval between the source's pushes, ms; 0 to push each spike by itself.")
    ] = 1.0,
    bins: Annotated[int, typer.Option(help="Number of bins to measure.", min=50)] = 3000,
    record: Annotated[bool, typer.Option("--record", help="Record a session file too.")] = False,
    json: Json = False,
) -> None:
    """Measure the time from the end of a bin to its cursor received.

    A bare LSL inlet and a bare ZeroMQ hop, measured in the same run, give the lower bound.
    """
    from rtdecode.tools.bench.latency import LatencyBench, run_bench

    document = run_bench(
        LatencyBench(n_channels=channels, rate_hz=rate, push_ms=push, bins=bins, record=record), print_line
    )
    if json:
        print_json(document)
        return
    total, stages, hops = document["bin_end_to_received_ms"], document["stages_ms"], document["hops_ms"]
    rows = [["end of bin → received", *(number(v) for v in total.values())]]
    rows += [[name.replace("_", " "), *(number(v) for v in stage.values())] for name, stage in stages.items()]
    rows.append(["own overhead", *(number(v) for v in document["own_overhead_ms"].values())])
    rows.append(["spike → bare inlet", *(number(hops["lsl"].get(name)) for name in total)])
    pushed = f"pushed every {push:g} ms" if push else "each spike pushed by itself"
    print(f"{document['bins']} bins, {channels} channels x {rate:g} Hz, {pushed}; in ms")
    print(table(["", "p50", "p90", "p99", "p99.9", "max"], rows))
    print(
        f"limit {document['limit_ms']:.3f} ms: bare inlet p99.9 {hops['lsl']['p999']:.3f} + bare ZeroMQ hop "
        f"p50 {hops['zmq']['p50']:.3f}; grace {document['grace_ms']} ms at the end; "
        f"late {document['late']}, lost {document['lost']}, flagged {document['flagged']}"
    )


@app.command()
def decode(
    bins: Annotated[
        int, typer.Option(help="Number of bins to time; fewer for the slower engines.", min=100)
    ] = 3000,
    json: Json = False,
) -> None:
    """Measure the decoding time of a bin, by engine, kind of model, channels and spikes."""
    from dataclasses import asdict

    from rtdecode.tools.bench.decode import CHANNELS, ratios, run_bench

    timings = run_bench(bins, CHANNELS, print_line)
    if json:
        print_json([asdict(timing) for timing in timings])
        return
    rows = [
        [
            row.engine,
            row.kind,
            str(row.channels),
            f"{row.rate_hz:.3g}",
            number(row.spikes_per_bin, 1),
            "–" if row.firing is None else f"{row.firing:.0%}",
            number(row.effective_acs, 0),
            number(row.dense_macs, 0),
            number(row.p50_us, 1),
            number(row.p99_us, 1),
            number(row.mean_us, 1),
        ]
        for row in timings
    ]
    headings = ["engine", "kind", "channels", "Hz", "spikes/bin", "firing", "effective ACs", "dense MACs"]
    headings += ["p50 µs", "p99 µs", "mean µs"]
    print(table(headings, rows))
    for ratio in ratios(timings):
        print(f"{ratio.what}: {ratio.value:.3g} (target {ratio.target})")


@app.command()
def networks(
    model: Annotated[
        str | None,
        typer.Option(help="Network to measure, a path or a name; default: random ones of each kind."),
    ] = None,
    session: Annotated[
        Path | None,
        typer.Option(
            help="Session that the network of --model decodes, and is scored on.", callback=as_session
        ),
    ] = None,
    channels: Annotated[int, typer.Option(help="Number of channels of random networks.", min=1)] = 64,
    rate: Annotated[float, typer.Option(help="Firing rate of their channels, Hz.", min=0.1)] = 15.0,
    bins: Annotated[int, typer.Option(help="Number of bins to decode, from the first.", min=8)] = 500,
    neurobench: Annotated[
        bool, typer.Option("--neurobench", help="Print the figures of the package neurobench beside ours.")
    ] = False,
    json: Json = False,
) -> None:
    """Measure what a network costs: memory, sparsity, operations per bin, and R².

    With --neurobench by NeuroBench's own metrics too, and why they differ where they do.
    """
    from dataclasses import asdict

    from rtdecode.model_store import find_model
    from rtdecode.tools.bench.compare import compare, random_workloads, session_workload

    if (model is None) != (session is None):
        raise typer.BadParameter("must be given together", param_hint="--model, --session")
    with needs_packages("the benchmark of networks", "rtdecode bench networks", "neurobench,train"):
        if model is not None and session is not None:
            workloads = [session_workload(find_model(model), session, bins)]
        else:
            workloads = list(random_workloads(channels, rate, bins))
        measured = [compare(workload, neurobench) for workload in workloads]
    if json:
        print_json([asdict(each) for each in measured])
        return
    for each in measured:
        print(f"{each.model}: {each.kind}, {each.bins} bins")
        print(_lines(each))


def _lines(measured: Compared) -> str:
    from dataclasses import asdict

    from rtdecode.tools.bench.compare import REASONS

    names = {
        "footprint_bytes": ("footprint, bytes", 0),
        "connection_sparsity": ("connection sparsity", 4),
        "activation_sparsity": ("activation sparsity, spiking neurons", 4),
        "effective_acs": ("effective ACs per bin", 1),
        "effective_macs": ("effective MACs per bin", 1),
        "dense": ("dense operations per bin", 1),
        "r2": ("R² of two outputs", 4),
    }
    ours = asdict(measured.ours)
    rows = [[text, number(ours[name], digits)] for name, (text, digits) in names.items()]
    if measured.neurobench is None:
        return table(["", "engine"], rows)
    theirs, reasons = asdict(measured.neurobench), REASONS[measured.kind]
    rows = [
        [*row, number(theirs[name], digits)]
        for row, (name, (_, digits)) in zip(rows, names.items(), strict=True)
    ]
    notes = [
        f"{row[0]}: {reasons[name]}"
        for row, name in zip(rows, names, strict=True)
        if row[1] != row[2] and name in reasons
    ]
    if measured.rectified is not None:
        rows.insert(
            3, ["activation sparsity, rectified units too", number(None), number(measured.rectified, 4)]
        )
    return "\n".join([table(["", "engine", "NeuroBench"], rows), *notes])
