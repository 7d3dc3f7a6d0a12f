"""`rtdecode replay`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtdecode.cli.common import on_signal, print_line
from rtdecode.ingest.layouts import Layout

if TYPE_CHECKING:
    from rtdecode.tools.replay.run import Replay, ReplaySettings


def replay(
    session: Annotated[Path, typer.Argument(help="Session file (.h5).")],
    stream: Annotated[str, typer.Option(help="Name of the LSL spike stream.")],
    behavior: Annotated[
        str | None, typer.Option(help="Name of a second stream with the session's behaviour.")
    ] = None,
    layout: Annotated[
        Layout,
        typer.Option(help="Stream layout; counts has one sample a period, the others one a spike."),
    ] = Layout.EVENTS,
    push: Annotated[
        float, typer.Option(help="Milliseconds between pushes; 0: each sample by itself, when it is due.")
    ] = 1.0,
    period: Annotated[float, typer.Option(help="Milliseconds of one sample of a counts stream.")] = 1.0,
    speed: Annotated[float, typer.Option(help="Session seconds per second.")] = 1.0,
    seed: Annotated[
        int, typer.Option(help="Of all that is drawn: drop, jitter, and times inside bins of counts.")
    ] = 0,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end.")] = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait for someone to listen before starting.")] = 0.0,
    drop: Annotated[float, typer.Option(help="Lose each sample of spikes with this probability.")] = 0.0,
    jitter: Annotated[
        float, typer.Option(help="Hold each push of spikes back by up to so many milliseconds.")
    ] = 0.0,
    burst: Annotated[int, typer.Option(help="Push spikes so many samples at a time.")] = 1,
) -> None:
    """Replay a recorded session as a live LSL stream, with its stamps moved to now."""
    from rtdecode.ingest.lsl_config import silence_liblsl
    from rtdecode.session.read import read_session

    silence_liblsl()
    from rtdecode.tools.replay.run import Replay, ReplaySettings

    settings = ReplaySettings(
        stream=stream,
        behavior=behavior,
        layout=layout,
        push_s=push / 1e3,
        period_s=period / 1e3,
        speed=speed,
        seed=seed,
        loop=loop,
        wait_s=wait,
        drop=drop,
        jitter_s=jitter / 1e3,
        burst=burst,
    )
    recorded = read_session(session)
    running = Replay(recorded, settings)
    on_signal(running.stop)
    print_line(
        f"replaying {recorded.name} as {stream} ({settings.layout}): {running.duration_s:.1f} s, "
        f"{recorded.n_channels} channels, {running.n_events} spikes"
        + (f", behaviour as {behavior}" if behavior else "")
    )
    if running.synthetic_times:
        print_line(f"note: its spike times inside the recorded bins are made up (uniform, seed {seed})")
    if faults := _faults(settings):
        print_line(f"note: with made-up faults (seed {seed}): {faults}")
    running.run()
    _summarise(running)


def _faults(settings: ReplaySettings) -> str:
    parts = []
    if settings.drop:
        parts.append(f"{100 * settings.drop:g} % of samples dropped")
    if settings.jitter_s:
        parts.append(f"pushes held back by up to {settings.jitter_s * 1e3:g} ms")
    if settings.burst > 1:
        parts.append(f"bursts of {settings.burst} samples")
    return ", ".join(parts)


def _summarise(done: Replay) -> None:
    from rtdecode.tools.replay.run import BEHIND_S

    reached = done.session_s / done.elapsed_s if done.elapsed_s > 0 else 0.0
    print_line(f"replayed: {done.pushed} samples in {done.elapsed_s:.1f} s ({reached:.1f} times real time)")
    if done.dropped:
        print_line(f"dropped: {done.dropped} samples")
    if done.behind:
        print_line(
            f"note: {done.behind} of {done.pushes} pushes went out more than {BEHIND_S * 1e3:g} ms late, "
            f"the worst by {done.worst_behind_s * 1e3:.0f} ms: lower --speed, or give a larger --push"
        )
