"""A simulated subject in closed loop with a decoder, in this process and faster than real time.

    run = run_in_process(SimulatedDay(day=0), read_artifact("sim.safetensors"), trials=40)
    run.scores.success, run.scores.bits_per_s

Spikes are counted in the model's bins, each bin is decoded at its end, and the cursor moves then: the same as
`serve` and `rtdecode subject` over streams, except for a fraction of a millisecond.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.load import load_decoder
from rtdecode.output.settings import OutputSettings
from rtdecode.output.stage import OutputStage
from rtdecode.session.layout import Session
from rtdecode.tools.simulator.cursor_map import CursorMap, choose_source
from rtdecode.tools.simulator.experiment import Experiment, Record, SimulatedDay
from rtdecode.tools.simulator.scores import Scores
from rtdecode.tools.simulator.subject import Point
from rtdecode.tools.simulator.units import TICK_S

#: A count saturates here, as in the daemon.
MAX_COUNT = 255


@dataclass(frozen=True)
class ClosedLoopRun:
    """Scores, and the whole session."""

    scores: Scores
    session: Session


def run_in_process(
    of: SimulatedDay,
    artifact: ModelArtifact,
    *,
    trials: int,
    longest_s: float = 600.0,
    output: OutputSettings | None = None,
    held_back_s: float = 0.0,
    cut: bool = False,
) -> ClosedLoopRun:
    """Let a subject steer a decoder until it has done some trials.

    Args:
        of: the subject on one day.
        artifact: the model, of the same channels; its bin width is a multiple of 1 ms.
        trials: number of trials.
        longest_s: simulated time after which the loop ends anyway, s.
        output: settings of an output stage, or None.
        held_back_s: added delay of the cursor, s.
        cut: True to leave the cursor where it is, so that the loop is open.
    """
    ticks = round(artifact.bin_width_s / TICK_S)
    decoder = load_decoder(artifact)
    stage = None if output is None else OutputStage(output, artifact.outputs, artifact.bin_width_s, "output")
    source = choose_source(
        [one.name for one in artifact.outputs],
        [one.units for one in artifact.outputs],
        () if stage is None else stage.names,
        () if stage is None else stage.units,
        "model",
    )
    shown = CursorMap(source, of.subject.arm_mm, of.subject.centre_mm)
    experiment = Experiment(of)
    record = Record(experiment, f"sim{of.seed}-day{of.day}-closed")
    value = np.zeros(decoder.n_outputs, np.float32)
    coming: deque[Point | None] = deque([of.subject.centre_mm] * round(held_back_s / artifact.bin_width_s))
    cursor: Point | None = of.subject.centre_mm
    end = round(longest_s / TICK_S)
    while len(experiment.task.trials) < trials and experiment.tick < end:
        step = experiment.advance(experiment.tick + ticks, cursor)
        record.add(step)
        counts = np.bincount(step.channel, minlength=artifact.n_channels)
        decoder.step(np.minimum(counts, MAX_COUNT).astype(np.uint8), value)
        if stage is not None:
            stage.step(value, 0)
        if cut:
            continue
        coming.append(
            shown.update(
                value.tolist(), None if stage is None else stage.value.tolist(), artifact.bin_width_s
            )
        )
        cursor = coming.popleft()
    return ClosedLoopRun(experiment.scores(), record.session())
