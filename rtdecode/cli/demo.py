"""`rtdecode demo`."""

from __future__ import annotations

from typing import Annotated

import typer

from rtdecode.cli.common import JSON_HELP, number, print_json, say, table


def demo(
    seed: Annotated[int, typer.Option(help="Of the simulated units and reaches.", min=0)] = 0,
    json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Simulate, fit, replay and serve on this machine alone; ends with R² and latencies.

    Needs no data and no hardware, and talks to nobody: its streams stay on loopback.
    """
    from rtdecode.tools.demo import run_demo

    document = run_demo(say, seed=seed)
    if json:
        print_json(document)
        return
    for phase in document["phases"]:
        print(
            f"{phase['name']}, model {phase['model']}: {phase['bins']} bins, {phase['missing']} missing, ",
            end="",
        )
        print(f"{phase['flagged']} flagged")
        rows = [[name, number(r2)] for name, r2 in zip(document["outputs"], phase["r2"], strict=True)]
        print(table(["output", "R²"], rows))
        latency = phase["latency_ms"]
        print(f"end of bin to cursor received: p50 {latency['p50']:.2f} ms, p99 {latency['p99']:.2f} ms")
