"""`rtdecode demo`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtdecode.cli.common import JSON_HELP, number, print_json, print_line, table

if TYPE_CHECKING:
    from rtdecode.tools.demo.run import Story


def demo(
    seed: Annotated[int, typer.Option(help="Random seed. Fixes targets, noise and spikes.", min=0)] = 0,
    figure: Annotated[
        Path, typer.Option(help="PNG file of the figure; an existing one is replaced.", metavar="OUT.png")
    ] = Path("rtdecode-demo.png"),
    json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Run a simulated subject in closed loop: day 0, day 30 with a failing decoder, day 30 calibrated.

    Takes less than two minutes and needs no data and no hardware; its streams stay on loopback. Ends with a
    table and a figure.
    """
    from rtdecode.session.target import check_writable
    from rtdecode.tools.demo.figure import draw_demo
    from rtdecode.tools.demo.run import run_demo

    check_writable(figure, overwrite=True)
    if json or not sys.stdout.isatty():
        story = run_demo(print_line, seed=seed)
    else:
        from rich.console import Console

        from rtdecode.tools.demo.view import DemoView

        view = DemoView(Console())
        story = run_demo(view.print_line, seed=seed, watch=view.watch)
    draw_demo(figure, story.phases, story.sessions)
    if json:
        print_json(story.document() | {"figure": str(figure)})
        return
    print()
    print(story_table(story))
    outputs = ", ".join(story.outputs)
    print(f"\nR²: mean over {outputs}, against the simulated hand; ms: end of a bin to its cursor received")
    print(f"wrote {figure}; {story.seconds:.0f} s")


def story_table(story: Story) -> str:
    """Table with one row per phase."""
    headings = ["", "trials", "success", "acquisition s", "bits/s", "R²", "p50 ms", "p99 ms"]
    rows = []
    for phase in story.phases:
        scored = [r2 for r2 in phase.r2 if r2 is not None]
        rows.append(
            [
                phase.name,
                str(phase.trials),
                "–" if phase.success is None else f"{100 * phase.success:.0f} %",
                number(phase.acquisition_time_s, 2),
                number(phase.achieved_bits_per_s, 2),
                number(sum(scored) / len(scored) if scored else None, 2),
                number(phase.latency_ms["p50"], 1),
                number(phase.latency_ms["p99"], 1),
            ]
        )
    return table(headings, rows)
