"""Units that fire at the rates of a trained model: behaviour in, a simulated array out, bin by bin.

    generator = open_generator(read_artifact("indy.safetensors"))
    units = generator.units(SubjectSettings(centre_mm=generator.centre_mm))
    rate_hz = units.rates_hz(drive)                     # a row per millisecond, like `Tuning`

A model computes the rates of a bin from behaviour up to its end. By then the bin is over, so they are used
during the next bin.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rtdecode.artifact import ModelArtifact, Output
from rtdecode.errors import RtdecodeError, located
from rtdecode.kernels.arrays import F4, F8
from rtdecode.tools.simulator.subject import HAND, Point, SubjectSettings
from rtdecode.tools.simulator.units import MAX_RATE_HZ, REFRACTORY_S, TICK_S

#: Largest distance of targets, in SD of the training positions on the narrower axis.
REACH_SD = 1.5

#: Place of errors.
WHERE = "--generator"


@dataclass(frozen=True, eq=False)
class Generator:
    """A model that gives firing rates.

    Attributes:
        model_id: of the model.
        n_channels: C.
        bin_ticks: bin width, ms.
        outputs: behaviour that the rates depend on.
        start: creates the networks of its ensemble in their initial state: functions from z-scored behaviour
            f4[D] at the end of a bin to spikes per bin f4[C] of the next.
    """

    model_id: str
    n_channels: int
    bin_ticks: int
    outputs: tuple[Output, ...]
    start: Callable[[], list[Callable[[F4], F4]]]

    @property
    def centre_mm(self) -> Point:
        """Mean position of the training data, rounded to mm; 0 on an axis that is no output."""
        mean = {output.name: float(round(output.mean)) for output in self.outputs}
        return mean.get("x", 0.0), mean.get("y", 0.0)

    def reach_mm(self, most: float) -> float:
        """Largest distance of targets from the centre, mm, at most `most`."""
        sds = [output.sd for output in self.outputs if output.name in ("x", "y")]
        return min([most, *(float(math.floor(REACH_SD * sd)) for sd in sds)])

    def units(self, settings: SubjectSettings) -> GeneratedUnits:
        """The units, before their first tick, of a subject with these settings."""
        return GeneratedUnits(self, settings)


class GeneratedUnits:
    """Units of a generator (see `subject.Units`); they have a state, so ticks are passed once and in order.

    The hazard is increased to compensate for the dead time after each spike, so that the rate is the model's.
    No unit fires before the end of the first bin.

    Args:
        generator: the model.
        settings: of the subject; the drive is relative to its full speed and reach.
    """

    n_noise = 0

    def __init__(self, generator: Generator, settings: SubjectSettings) -> None:
        self.n_channels = generator.n_channels
        self._bin_ticks, self._tick = generator.bin_ticks, 0
        self._networks = generator.start()
        full, reach, (cx, cy) = settings.full_speed, settings.reach_mm, settings.centre_mm
        # Column of the drive, scale and offset, to get behaviour of the hand from the drive.
        hand = {"vx": (0, full, 0.0), "vy": (1, full, 0.0), "x": (2, reach, cx), "y": (3, reach, cy)}
        chosen = [hand[output.name] for output in generator.outputs]
        self._columns = [column for column, _, _ in chosen]
        sd = np.array([output.sd for output in generator.outputs])
        mean = np.array([output.mean for output in generator.outputs])
        self._scale = np.array([unit for _, unit, _ in chosen]) / sd
        self._offset = (np.array([at for _, _, at in chosen]) - mean) / sd
        self._hazard_hz: F8 = np.zeros(self.n_channels)

    def rates_hz(self, drive: F8) -> F8:
        """Hazards f8[T, C] of the next ticks, Hz, for a drive f8[T, 5] (`Subject.move`)."""
        rates = np.empty((len(drive), self.n_channels))
        done = 0
        while done < len(drive):
            n = min(self._bin_ticks - self._tick % self._bin_ticks, len(drive) - done)
            rates[done : done + n] = self._hazard_hz
            done, self._tick = done + n, self._tick + n
            if self._tick % self._bin_ticks == 0:
                self._end_bin(drive[done - 1])
        return rates

    def _end_bin(self, row: F8) -> None:
        z = (row[self._columns] * self._scale + self._offset).astype(np.float32)
        spikes = np.mean([step(z) for step in self._networks], axis=0, dtype=np.float64)
        rate_hz = np.minimum(spikes / (self._bin_ticks * TICK_S), MAX_RATE_HZ)
        self._hazard_hz = rate_hz / (1.0 - rate_hz * REFRACTORY_S)


def open_generator(artifact: ModelArtifact) -> Generator:
    """Open a model as a generator, with the rates of the day that it decodes.

    Raises:
        RtdecodeError: the model was not trained to simulate, is non-causal, depends on other behaviour than a
            hand in mm, or its bin width is not a multiple of 1 ms.
    """
    # Imported here since torch takes seconds to import and may not be installed.
    from rtdecode.models.simulation.rates import folded_session, simulating_networks
    from rtdecode.models.simulation.stepped import SteppedSimulation

    _check_outputs(artifact.outputs)
    ticks = round(artifact.bin_width_s / TICK_S)
    if abs(ticks * TICK_S - artifact.bin_width_s) > 1e-9:
        raise RtdecodeError(
            f"its bin width of {1e3 * artifact.bin_width_s:g} ms is not a multiple of 1 ms",
            where=WHERE,
            fix="use a model of another bin width",
        )
    with located(WHERE):
        nets, session = simulating_networks(artifact), folded_session(artifact)

        def start() -> list[Callable[[F4], F4]]:
            return [SteppedSimulation(net, session).step for net in nets]

        # The first step is slow, so it is done before the loop starts.
        for step in start():
            step(np.zeros(len(artifact.outputs), np.float32))
    return Generator(artifact.model_id, artifact.n_channels, ticks, artifact.outputs, start)


def _check_outputs(outputs: Sequence[Output]) -> None:
    for output in outputs:
        if output.name not in HAND:
            raise RtdecodeError(
                f"the model needs {output.name!r}, but the simulated hand has {', '.join(HAND)}",
                where=WHERE,
                fix="use a model with outputs among these",
            )
        if output.units != HAND[output.name]:
            raise RtdecodeError(
                f"the model has {output.name} in {output.units!r}, the subject in {HAND[output.name]!r}",
                where=WHERE,
                fix=f"use a model trained on behaviour in {HAND[output.name]}",
            )
