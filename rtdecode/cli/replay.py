"""`rtdecode replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rtdecode.cli.common import on_signal, say
from rtdecode.cli.serve import parse_layout


def replay(
    session: Annotated[Path, typer.Argument(help="Session file (.h5).")],
    stream: Annotated[str, typer.Option(help="Name of the LSL spike stream.")],
    behavior: Annotated[
        str | None, typer.Option(help="Name of a second stream with the session's behaviour.")
    ] = None,
    layout: Annotated[
        str,
        typer.Option(help="events, snippets or channel: one sample a spike; counts: one sample an interval."),
    ] = "events",
    push: Annotated[float, typer.Option(help="Milliseconds between pushes.")] = 1.0,
    period: Annotated[float, typer.Option(help="Milliseconds of one sample of a counts stream.")] = 1.0,
    speed: Annotated[float, typer.Option(help="Session seconds per second.")] = 1.0,
    seed: Annotated[
        int, typer.Option(help="Places counts inside bins coarser than the stream's events.", min=0)
    ] = 0,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end.")] = False,
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for someone to listen before starting.", min=0)
    ] = 0.0,
) -> None:
    """Replay a recorded session as a live LSL stream, with its stamps moved to now."""
    from rtdecode.ingest.lslconfig import silence_liblsl
    from rtdecode.session.read import read_session

    silence_liblsl()
    from rtdecode.tools.replay import Replay, ReplaySettings

    settings = ReplaySettings(
        stream=stream,
        behavior=behavior,
        layout=parse_layout(layout),
        push_s=push / 1e3,
        period_s=period / 1e3,
        speed=speed,
        seed=seed,
        loop=loop,
        wait_s=wait,
    )
    recorded = read_session(session)
    running = Replay(recorded, settings)
    on_signal(running.stop)
    say(
        f"replaying {recorded.name} as {stream} ({settings.layout}): {running.duration_s:.1f} s, "
        f"{recorded.n_channels} channels, {running.n_events} spikes"
        + (f", behaviour as {behavior}" if behavior else "")
    )
    if running.synthetic_times:
        say(f"note: its spike times inside the recorded bins are made up (uniform, seed {seed})")
    running.run()
    say(f"replayed: {running.pushed} samples pushed")
