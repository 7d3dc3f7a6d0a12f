"""`rtdecode subject`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtdecode.cli.common import (
    JSON_HELP,
    needs_training_packages,
    number,
    on_signal,
    print_json,
    print_line,
    table,
)

if TYPE_CHECKING:
    from rtdecode.tools.simulator.experiment import SimulatedDay
    from rtdecode.tools.simulator.generator import Generator
    from rtdecode.tools.simulator.scores import Scores

#: Without a generator to go by; and the least way between two random targets.
CHANNELS, REACH_MM, MIN_WAY_MM = 64, 80.0, 40.0


def subject(
    stream: Annotated[str, typer.Option(help="Name of the LSL spike stream that goes out.")] = "M1",
    cursor: Annotated[str, typer.Option(help="Where the daemon sends the cursor.")] = "tcp://127.0.0.1:5556",
    day: Annotated[int, typer.Option(help="How many days the array has drifted.")] = 0,
    channels: Annotated[
        int | None, typer.Option(help="Channels of the array; default: 64, or the generator's.")
    ] = None,
    generator: Annotated[
        str | None,
        typer.Option(
            help="Model made by `rtdecode pretrain` that the units fire by, instead of the built-in tuning.",
            metavar="PATH|NAME",
        ),
    ] = None,
    task: Annotated[str, typer.Option(help="centre-out or random-target.")] = "centre-out",
    seed: Annotated[
        int, typer.Option(help="Of the array and its drift; with the day, of targets and spikes.", min=0)
    ] = 0,
    session: Annotated[int, typer.Option(help="Of the same day, other targets and spikes.", min=0)] = 0,
    trials: Annotated[int | None, typer.Option(help="End after so many trials.", min=1)] = None,
    seconds: Annotated[float | None, typer.Option(help="End after so many seconds.")] = None,
    delay: Annotated[
        float, typer.Option(help="Milliseconds from the screen to the spikes that answer it.")
    ] = 100.0,
    hold: Annotated[float, typer.Option(help="Milliseconds to stay in a target.")] = 250.0,
    radius: Annotated[float, typer.Option(help="Of a target, mm.")] = 15.0,
    reach: Annotated[
        float | None,
        typer.Option(
            help="Of the eight targets from the centre, and of random ones on each axis, mm; default: 80, "
            "or as far as the generator has seen a hand go."
        ),
    ] = None,
    trial_timeout: Annotated[float, typer.Option(help="Seconds until a trial has failed.")] = 4.0,
    pause: Annotated[float, typer.Option(help="Milliseconds between two trials.")] = 300.0,
    open_loop: Annotated[
        Path | None,
        typer.Option(
            help="Write a session of hand movements instead, to learn from; needs --seconds. No streams.",
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
            help="Publish the target there, for rtdecode monitor --task, such as tcp://127.0.0.1:5558.",
            metavar="ENDPOINT",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Session file of the run, written at its end.", metavar="OUT.h5")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    timeout: Annotated[
        float, typer.Option(help="Seconds without a cursor until giving up; 0 waits for ever.")
    ] = 60.0,
    json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """A simulated subject with a task: its spikes go out over LSL, and it steers the cursor that comes back.

    Runs until the trials or seconds are done, or Ctrl-C; ends with the scores.
    """
    from rtdecode.tools.simulator.array import ArraySettings
    from rtdecode.tools.simulator.experiment import SimulatedDay
    from rtdecode.tools.simulator.subject import SubjectSettings
    from rtdecode.tools.simulator.task import TaskSettings

    made = None if generator is None else _open_generator(generator, channels)
    if reach is None:
        reach = REACH_MM if made is None else made.reach_mm(REACH_MM)
    centre = (0.0, 0.0) if made is None else made.centre_mm
    settings = TaskSettings(
        kind=task,  # type: ignore[arg-type]
        hold_s=hold / 1e3,
        radius_mm=radius,
        reach_mm=reach,
        timeout_s=trial_timeout,
        inter_trial_s=pause / 1e3,
        min_way_mm=min(MIN_WAY_MM, reach),
        centre_mm=centre,
    )
    of = SimulatedDay(
        seed=seed,
        day=day,
        session=session,
        array=ArraySettings(n_channels=CHANNELS if channels is None else channels),
        subject=SubjectSettings(delay_s=delay / 1e3, centre_mm=centre),
        task=settings,
        generator=made,
    )
    if made is not None:
        print_line(
            f"units fire by model {made.model_id}, {made.bin_ticks}-ms bins; centre at {centre[0]:g}, "
            f"{centre[1]:g} mm, reach {reach:g} mm"
        )
    if open_loop is not None:
        if seconds is None or trials is not None or output is not None:
            raise typer.BadParameter(
                "takes --seconds, and neither --trials nor --output", param_hint="--open-loop"
            )
        if task_bind is not None:
            raise typer.BadParameter("only a closed loop has a target to show", param_hint="--task-bind")
        _write_open_loop(of, open_loop, seconds, overwrite, json)
        return
    from rtdecode.ingest.lsl_config import silence_liblsl

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
    if running.behind:
        from rtdecode.tools.replay.run import BEHIND_S

        print_line(
            f"note: {running.behind} of {running.pushes} pushes went out more than {BEHIND_S * 1e3:g} ms "
            f"late, the worst by {running.worst_behind_s * 1e3:.0f} ms (their stamps are true)"
        )
    if output is not None:
        print_line(f"wrote {output}")
    if json:
        print_json(running.document(scores))
    else:
        print(score_table(scores))


def _open_generator(model: str, channels: int | None) -> Generator:
    from rtdecode.artifact import read_artifact
    from rtdecode.errors import RtdecodeError
    from rtdecode.model_store import find_model
    from rtdecode.tools.simulator.generator import open_generator

    with needs_training_packages("a generator", "--generator"):
        made = open_generator(read_artifact(find_model(model)))
    if channels is not None and channels != made.n_channels:
        raise RtdecodeError(
            f"{channels}, and the generator has {made.n_channels}",
            where="--channels",
            fix="leave it out",
        )
    return made


def _write_open_loop(of: SimulatedDay, path: Path, seconds: float, overwrite: bool, json: bool) -> None:
    from rtdecode.errors import RtdecodeError
    from rtdecode.session.target import check_writable
    from rtdecode.session.write import write_session
    from rtdecode.tools.simulator.experiment import open_loop_session

    if not 1 <= seconds <= 86_400:
        raise RtdecodeError(f"must lie between 1 and 86400 here, not {seconds:g}", where="--seconds")
    check_writable(path, overwrite=overwrite)
    recorded = open_loop_session(of, seconds, path.stem)
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
    """The scores for a person."""
    success = "–" if scores.success is None else f"{100 * scores.success:.0f} %"
    rows = [
        ["trials", str(scores.trials)],
        ["success", success],
        ["aborted", str(scores.aborted)],
        ["acquisition time, s", number(scores.acquisition_time_s, 2)],
        ["dial-in time, s", number(scores.dial_in_time_s, 2)],
        ["path efficiency", number(scores.path_efficiency, 2)],
        ["throughput, bits/s", number(scores.bits_per_s, 2)],
        ["achieved, bits/s", number(scores.achieved_bits_per_s, 2)],
    ]
    return table(["closed loop", ""], rows)
