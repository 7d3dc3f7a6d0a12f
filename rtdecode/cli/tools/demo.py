"""`rtdecode demo`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtdecode.cli.common import number, print_json, print_line, table
from rtdecode.cli.options import Json, Overwrite, output_option

if TYPE_CHECKING:
    from rtdecode.tools.demo.phases import Phase

#: Where its figure is, unless another name is typed.
FIGURE = Path("rtdecode-demo.png")


def demo(
    seed: Annotated[int, typer.Option(help="Random seed. Fixes targets, noise and spikes.", min=0)] = 0,
    figure: Annotated[
        Path | None,
        output_option(
            help=f"PNG file of the figure; default: {FIGURE}, and one of an earlier demo is replaced.",
            metavar="OUT.png",
        ),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Run a simulated subject in closed loop: day 0, day 30 with a failing decoder, day 30 calibrated.

    Takes less than two minutes and needs no data and no hardware; its streams stay on loopback. Ends with a
    table and a figure.
    """
    from rtdecode.files import check_writable, unused
    from rtdecode.tools.demo.figure import draw_demo
    from rtdecode.tools.demo.run import run_demo

    # Nothing but a demo writes the default one.
    overwrite, figure = overwrite or figure is None, figure or FIGURE
    check_writable(figure, overwrite=overwrite)
    if json or not sys.stdout.isatty():
        result = run_demo(print_line, seed=seed)
    else:
        from rich.console import Console

        from rtdecode.tools.demo.view import DemoView

        view = DemoView(Console())
        result = run_demo(view.print_line, seed=seed, watch=view.watch)
    figure = figure if overwrite else unused(figure)
    draw_demo(figure, result.phases, result.sessions)
    if json:
        print_json(result.document() | {"figure": str(figure)})
        return
    print()
    print(phase_table(result.phases))
    outputs = ", ".join(result.outputs)
    print(f"\nR²: mean over {outputs}, against the simulated hand; ms: end of a bin to its cursor received")
    print(f"wrote {figure}; {result.seconds:.0f} s")


def phase_table(phases: Sequence[Phase]) -> str:
    """Table with one row per phase."""
    from rtdecode.tools.simulator.scores import percent

    headings = ["", "trials", "success", "acquisition s", "bits/s", "R²", "p50 ms", "p99 ms"]
    rows = []
    for phase in phases:
        scored = [r2 for r2 in phase.r2 if r2 is not None]
        rows.append(
            [
                phase.name,
                str(phase.trials),
                percent(phase.success),
                number(phase.acquisition_time_s, 2),
                number(phase.achieved_bits_per_s, 2),
                number(sum(scored) / len(scored) if scored else None, 2),
                number(phase.latency_ms["p50"], 1),
                number(phase.latency_ms["p99"], 1),
            ]
        )
    return table(headings, rows)
