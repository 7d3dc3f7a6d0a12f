"""`rtdecode replay`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtdecode.cli.common import on_signal, print_line
from rtdecode.cli.options import session_argument
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.tools.replay.gaps import Gaps

if TYPE_CHECKING:
    from rtdecode.session.layout import Session
    from rtdecode.tools.replay.run import Replay
    from rtdecode.tools.replay.settings import ReplaySettings


def replay(
    session: Annotated[Path, session_argument("Session file (.h5, or an importable one).")],
    stream: Annotated[
        list[str],
        typer.Option(
            help="Name of the LSL spike stream; of several arrays once for each, or one for all; of the "
            "features, if there are no spikes."
        ),
    ],
    behavior: Annotated[
        str | None, typer.Option(help="Name of a second stream with the session's behaviour.")
    ] = None,
    features: Annotated[
        str | None, typer.Option(help="Name of a further stream with the session's features beside spikes.")
    ] = None,
    layout: Annotated[
        Layout,
        typer.Option(
            help="Stream layout; counts and raster have one sample a period, the others one a spike."
        ),
    ] = Layout.EVENTS,
    push: Annotated[
        float, typer.Option(help="Interval between pushes, ms; 0 to push each sample by itself when due.")
    ] = 1.0,
    period: Annotated[
        float, typer.Option(help="Interval of one sample of counts, ms; of a raster below 1.")
    ] = 1.0,
    speed: Annotated[float, typer.Option(help="Replay speed, session seconds per second.")] = 1.0,
    seed: Annotated[
        int, typer.Option(help="Random seed. Fixes drops, jitter and spike times within bins of counts.")
    ] = 0,
    loop: Annotated[bool, typer.Option("--loop", help="Start again at the end, until Ctrl-C.")] = False,
    wait: Annotated[float, typer.Option(help="Longest wait for a subscriber before starting, s.")] = 0.0,
    drop: Annotated[float, typer.Option(help="Probability that a spike sample is lost, 0 to 1.")] = 0.0,
    jitter: Annotated[float, typer.Option(help="Largest random delay of a push of spikes, ms.")] = 0.0,
    burst: Annotated[int, typer.Option(help="Number of spike samples that are pushed together.")] = 1,
    gaps: Annotated[
        Gaps, typer.Option(help="Time that was not observed: it passes without spikes, or is cut out.")
    ] = Gaps.KEEP,
) -> None:
    """Replay a recorded session as a live LSL stream, its timestamps shifted to now."""
    from rtdecode.ingest.connection.lsl_config import silence_liblsl
    from rtdecode.session.read import read_session

    silence_liblsl()
    from rtdecode.tools.replay.run import Replay
    from rtdecode.tools.replay.settings import ReplaySettings

    settings = ReplaySettings(
        streams=tuple(stream),
        behavior=behavior,
        features=features,
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
        gaps=gaps,
    )
    recorded = read_session(session)
    running = Replay(recorded, settings)
    on_signal(running.stop)
    print_line(
        f"replaying {recorded.name} as {settings.stream} {_described(recorded, running, settings.layout)}"
        + (f", features as {features}" if features else "")
        + (f", behaviour as {behavior}" if behavior else "")
    )
    for note in recorded.notes:
        print_line(f"note: {note}")
    if running.synthetic_times:
        print_line(f"note: its spike times within the recorded bins are synthetic (uniform, seed {seed})")
    if faults := _faults(settings):
        print_line(f"note: with simulated faults (seed {seed}): {faults}")
    running.run()
    _summarise(running)


def _described(recorded: Session, running: Replay, layout: Layout) -> str:
    alone, seconds = recorded.features_alone, f"{running.duration_s:.1f} s"
    if alone is not None:
        return f"(features): {seconds}, {len(alone.names)} features"
    return f"({layout}): {seconds}, {recorded.n_channels} channels, {running.n_events} spikes"


def _faults(settings: ReplaySettings) -> str:
    parts = []
    if settings.drop:
        parts.append(f"{100 * settings.drop:g} % of samples dropped")
    if settings.jitter_s:
        parts.append(f"pushes delayed by up to {settings.jitter_s * 1e3:g} ms")
    if settings.burst > 1:
        parts.append(f"bursts of {settings.burst} samples")
    return ", ".join(parts)


def _summarise(done: Replay) -> None:
    reached = done.session_s / done.elapsed_s if done.elapsed_s > 0 else 0.0
    print_line(f"replayed: {done.pushed} samples in {done.elapsed_s:.1f} s ({reached:.1f} times real time)")
    if done.dropped:
        print_line(f"dropped: {done.dropped} samples")
    if done.lateness.late:
        print_line(f"note: {done.lateness}: lower --speed, or give a larger --push")
