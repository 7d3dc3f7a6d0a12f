"""`rtdecode subject`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtdecode.cli.common import (
    needs_packages,
    number,
    on_signal,
    print_json,
    print_line,
    table,
)
from rtdecode.cli.options import Json, Overwrite, output_option
from rtdecode.messages import CURSOR_ENDPOINT

if TYPE_CHECKING:
    from rtdecode.tools.simulator.experiment import SimulatedDay
    from rtdecode.tools.simulator.generator import Generator
    from rtdecode.tools.simulator.scores import Scores

#: Defaults without a generator; and the shortest distance between two random targets.
CHANNELS, REACH_MM, MIN_DISTANCE_MM = 64, 80.0, 40.0


def subject(
    stream: Annotated[str, typer.Option(help="Name of the LSL spike stream to send.")] = "M1",
    cursor: Annotated[str, typer.Option(help="Cursor endpoint of the daemon.")] = CURSOR_ENDPOINT,
    day: Annotated[int, typer.Option(help="Day, from 0; the array drifts from day to day.")] = 0,
    channels: Annotated[
        int | None, typer.Option(help="Number of channels; default: 64, or those of the generator.")
    ] = None,
    generator: Annotated[
        str | None,
        typer.Option(
            help="Model whose simulated rates the units fire at, instead of the built-in tuning; made by "
            "`rtdecode pretrain`.",
            metavar="PATH|NAME",
        ),
    ] = None,
    task: Annotated[str, typer.Option(help="Task: centre-out or random-target.")] = "centre-out",
    seed: Annotated[
        int,
        typer.Option(
            help="Random seed. Fixes the array and its drift; together with --day also targets and spikes.",
            min=0,
        ),
    ] = 0,
    session: Annotated[
        int, typer.Option(help="Run number within the day (same array, new targets and spikes).", min=0)
    ] = 0,
    trials: Annotated[int | None, typer.Option(help="Number of trials; default: no limit.", min=1)] = None,
    seconds: Annotated[float | None, typer.Option(help="Longest duration, s; default: no limit.")] = None,
    delay: Annotated[
        float, typer.Option(help="Delay from a change on the screen to the spikes that respond to it, ms.")
    ] = 100.0,
    hold: Annotated[float, typer.Option(help="Hold time in a target, ms.")] = 250.0,
    radius: Annotated[float, typer.Option(help="Target radius, mm.")] = 15.0,
    reach: Annotated[
        float | None,
        typer.Option(
            help="Distance of the eight targets from the centre, and of random targets on each axis, mm; "
            "default: 80, or less with a generator that was trained on smaller movements."
        ),
    ] = None,
    trial_timeout: Annotated[float, typer.Option(help="Time after which a trial has failed, s.")] = 4.0,
    pause: Annotated[float, typer.Option(help="Pause between two trials, ms.")] = 300.0,
    open_loop: Annotated[
        Path | None,
        output_option(
            help="Session file of hand movements in open loop, written faster than real time and without "
            "streams; needs --seconds.",
            metavar="OUT.h5",
        ),
    ] = None,
    markers: Annotated[
        str | None, typer.Option(help="Name of the task's marker stream; default: STREAM-markers.")
    ] = None,
    behavior: Annotated[
        str | None, typer.Option(help="Name of the stream of hand and cursor; default: STREAM-hand.")
    ] = None,
    task_bind: Annotated[
        str | None,
        typer.Option(
            help="Endpoint that publishes the target, for rtdecode monitor --task; for example "
            "tcp://127.0.0.1:5558.",
            metavar="ENDPOINT",
        ),
    ] = None,
    output: Annotated[
        Path | None, output_option(help="Session file of the run, written at its end.", metavar="OUT.h5")
    ] = None,
    overwrite: Overwrite = False,
    timeout: Annotated[float, typer.Option(help="Longest time without a cursor, s; 0: no limit.")] = 60.0,
    json: Json = False,
) -> None:
    """Run a simulated subject with a task: it sends spikes over LSL and steers the daemon's cursor.

    Runs until the trials or seconds are done, or until Ctrl-C, and ends with the scores.
    """
    from rtdecode.tools.simulator.array import ArraySettings
    from rtdecode.tools.simulator.experiment import SimulatedDay
    from rtdecode.tools.simulator.subject import SubjectSettings
    from rtdecode.tools.simulator.task import TaskSettings

    source = None if generator is None else _open_generator(generator, channels)
    if reach is None:
        reach = REACH_MM if source is None else source.reach_mm(REACH_MM)
    centre = (0.0, 0.0) if source is None else source.centre_mm
    settings = TaskSettings(
        kind=task,  # type: ignore[arg-type]
        hold_s=hold / 1e3,
        radius_mm=radius,
        reach_mm=reach,
        timeout_s=trial_timeout,
        inter_trial_s=pause / 1e3,
        min_distance_mm=min(MIN_DISTANCE_MM, reach),
        centre_mm=centre,
    )
    of = SimulatedDay(
        seed=seed,
        day=day,
        session=session,
        array=ArraySettings(n_channels=CHANNELS if channels is None else channels),
        subject=SubjectSettings(delay_s=delay / 1e3, centre_mm=centre),
        task=settings,
        generator=source,
    )
    if source is not None:
        print_line(
            f"units fire by model {source.model_id}, {source.bin_ticks}-ms bins; centre at {centre[0]:g}, "
            f"{centre[1]:g} mm, reach {reach:g} mm"
        )
    if open_loop is not None:
        if seconds is None or trials is not None or output is not None:
            raise typer.BadParameter(
                "needs --seconds, and allows neither --trials nor --output", param_hint="--open-loop"
            )
        if task_bind is not None:
            raise typer.BadParameter("can only be used in closed loop", param_hint="--task-bind")
        _write_open_loop(of, open_loop, seconds, overwrite, json)
        return
    from rtdecode.ingest.connection.lsl_config import silence_liblsl

    silence_liblsl()
    from rtdecode.tools.subject.run import SubjectRun, SubjectRunSettings

    running = SubjectRun(
        SubjectRunSettings(
            of=of,
            stream=stream,
            markers=markers or f"{stream}-markers",
            behavior=behavior or f"{stream}-hand",
            cursor=cursor,
            trials=trials or math.inf,
            seconds=math.inf if seconds is None else seconds,
            timeout_s=timeout or math.inf,
            task_bind=task_bind,
            output=output,
            overwrite=overwrite,
        ),
        print_line,
    )
    on_signal(running.stop)
    print_line(
        f"subject {seed} on day {day}: {of.n_channels} channels as {stream}, task {task}; "
        f"markers as {markers or f'{stream}-markers'}, hand as {behavior or f'{stream}-hand'}"
    )
    scores = running.run()
    if running.lateness.late:
        print_line(f"note: {running.lateness} (their timestamps are exact)")
    if output is not None:
        print_line(f"wrote {running.output}")
    if json:
        print_json(running.document(scores))
    else:
        print(score_table(scores))


def _open_generator(model: str, channels: int | None) -> Generator:
    from rtdecode.artifact import read_artifact
    from rtdecode.errors import RtdecodeError
    from rtdecode.model_store import find_model
    from rtdecode.tools.simulator.generator import open_generator

    with needs_packages("a generator", "--generator"):
        generator = open_generator(read_artifact(find_model(model)))
    if channels is not None and channels != generator.n_channels:
        raise RtdecodeError(
            f"is {channels}, but the generator has {generator.n_channels} channels",
            where="--channels",
            fix="leave --channels out",
        )
    return generator


def _write_open_loop(of: SimulatedDay, path: Path, seconds: float, overwrite: bool, json: bool) -> None:
    from rtdecode.files import check_writable, unused
    from rtdecode.session.write import write_session
    from rtdecode.tools.ranges import check_range
    from rtdecode.tools.simulator.experiment import open_loop_session

    check_range("--seconds", 1 <= seconds <= 86_400, "between 1 and 86400 with --open-loop", seconds)
    check_writable(path, overwrite=overwrite)
    recorded = open_loop_session(of, seconds, path.stem)
    path = path if overwrite else unused(path)
    write_session(path, recorded)
    assert recorded.events is not None
    assert recorded.trials is not None
    document: dict[str, Any] = {
        "output": str(path),
        "seed": of.seed,
        "day": of.day,
        "channels": recorded.n_channels,
        "generator": of.generator.model_id if of.generator is not None else None,
        "task": of.task.kind,
        "seconds": seconds,
        "spikes": len(recorded.events.time),
        "trials": len(recorded.trials.start),
    }
    if json:
        print_json(document)
    else:
        print_line(
            f"wrote {path}: {seconds:g} s, {recorded.n_channels} channels, "
            f"{document['spikes']} spikes, {document['trials']} trials"
        )


def score_table(scores: Scores) -> str:
    """The scores as a table."""
    from rtdecode.tools.simulator.scores import percent

    rows = [
        ["trials", str(scores.trials)],
        ["success", percent(scores.success)],
        ["aborted", str(scores.aborted)],
        ["acquisition time, s", number(scores.acquisition_time_s, 2)],
        ["dial-in time, s", number(scores.dial_in_time_s, 2)],
        ["path efficiency", number(scores.path_efficiency, 2)],
        ["throughput, bits/s", number(scores.bits_per_s, 2)],
        ["achieved, bits/s", number(scores.achieved_bits_per_s, 2)],
    ]
    return table(["closed loop", ""], rows)
