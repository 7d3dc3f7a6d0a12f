"""Units at the rates of a model: any division of time, the model's rates, and one-line refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import N_CHANNELS, OUTPUTS, make_alignnet, make_gru, trained_to_simulate

from rtdecode.artifact import ModelArtifact
from rtdecode.errors import RtdecodeError
from rtdecode.models.ensemble.join import ensemble_of
from rtdecode.models.export.export import export
from rtdecode.models.networks.alignnet import AlignNet
from rtdecode.models.simulation.rates import simulated_rates
from rtdecode.tools.simulator.experiment import Experiment, Record, SimulatedDay, open_loop_session
from rtdecode.tools.simulator.generator import Generator, open_generator
from rtdecode.tools.simulator.subject import Seen, Subject, SubjectSettings
from rtdecode.tools.simulator.task import TaskSettings
from rtdecode.tools.simulator.units import Firing

BIN_TICKS = 20
NETS = [trained_to_simulate(make_alignnet(seed)) for seed in (0, 1)]


def exported(nets: list[AlignNet], width_s: float = 0.02) -> ModelArtifact:
    return ensemble_of([export(net, session="monday", bin_width_s=width_s, outputs=OUTPUTS) for net in nets])


GENERATOR = open_generator(exported(NETS))
CENTRE = GENERATOR.centre_mm


def simulated_day(seed: int = 0, generator: Generator = GENERATOR) -> SimulatedDay:
    centre = generator.centre_mm
    return SimulatedDay(
        seed=seed,
        generator=generator,
        subject=SubjectSettings(centre_mm=centre),
        task=TaskSettings(centre_mm=centre, reach_mm=40.0),
    )


def run(of: SimulatedDay, chunks: list[int], *, open_loop: bool) -> Record:
    """A session with a cursor that jumps every 20 ms."""
    experiment = Experiment(of, open_loop=open_loop)
    record = Record(experiment, "run")
    end = sum(chunks)
    for edge in sorted({*np.cumsum(chunks).tolist(), *range(20, end, 20)}):
        k = experiment.tick // 20
        cursor = (CENTRE[0] + 30 * float(np.sin(k / 7.0)), CENTRE[1] + 30 * float(np.cos(k / 5.0)))
        record.add(experiment.advance(edge, cursor))
    return record


@given(chunks=st.lists(st.integers(1, 90), min_size=5, max_size=20), open_loop=st.booleans())
@settings(max_examples=15, deadline=None)
def test_the_session_does_not_depend_on_its_steps(chunks: list[int], open_loop: bool) -> None:
    whole, cut, ticks = (
        run(simulated_day(), steps, open_loop=open_loop).session()
        for steps in ([sum(chunks)], chunks, [1] * sum(chunks))
    )
    for other in (cut, ticks):
        np.testing.assert_array_equal(other.events.time, whole.events.time)
        np.testing.assert_array_equal(other.events.channel, whole.events.channel)


def test_the_seed_fixes_the_spikes() -> None:
    first, again, other = (open_loop_session(simulated_day(seed), 3.0) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.events.time, again.events.time)
    assert not np.array_equal(first.events.time[:50], other.events.time[:50])


def test_units_fire_at_the_rates_of_the_bin_before() -> None:
    subject = Subject(
        SubjectSettings(centre_mm=CENTRE), GENERATOR.units(SubjectSettings(centre_mm=CENTRE)), 0
    )
    subject.see(0.0, Seen(CENTRE, (CENTRE[0] + 40.0, CENTRE[1] + 20.0), 5.0))
    hands = []
    for _ in range(60):
        subject.move(BIN_TICKS)
        hands.append((*subject.hand, subject.velocity[0]))
    z = (np.array(hands) - [output.mean for output in OUTPUTS]) / [output.sd for output in OUTPUTS]
    expected = simulated_rates(NETS, z.astype(np.float32), "monday") / 0.02
    assert np.abs(np.diff(expected, axis=0)).max() > 1.0

    # The same movement again, for the rates.
    units = GENERATOR.units(SubjectSettings(centre_mm=CENTRE))
    again = Subject(SubjectSettings(centre_mm=CENTRE), units, 0)
    again.see(0.0, Seen(CENTRE, (CENTRE[0] + 40.0, CENTRE[1] + 20.0), 5.0))
    hazard = units.rates_hz(again.move(60 * BIN_TICKS)).reshape(60, BIN_TICKS, N_CHANNELS)
    np.testing.assert_array_equal(hazard, np.repeat(hazard[:, :1], BIN_TICKS, axis=1))
    assert not hazard[0].any()
    rate = hazard[1:, 0] / (1.0 + 0.002 * hazard[1:, 0])
    np.testing.assert_allclose(rate, expected[:-1], rtol=1e-3, atol=1e-3)


def test_the_dead_time_does_not_reduce_the_rate() -> None:
    units = GENERATOR.units(SubjectSettings(centre_mm=CENTRE))
    at_rest = np.zeros((60_000, 5))
    hazard = units.rates_hz(at_rest)
    _, channel = Firing(N_CHANNELS, 3).step(hazard)
    z = ((np.array([*CENTRE, 0.0]) - [o.mean for o in OUTPUTS]) / [o.sd for o in OUTPUTS]).astype(np.float32)
    expected = simulated_rates(NETS, np.tile(z, (3000, 1)), "monday").mean(axis=0) / 0.02
    fired = np.bincount(channel, minlength=N_CHANNELS) / 60.0
    assert expected.max() > 20
    np.testing.assert_allclose(fired, expected, rtol=0.08)


def test_centre_and_reach_are_those_of_the_training_data() -> None:
    assert CENTRE == (12.0, -80.0)
    # The narrower axis has an SD of 25 mm.
    assert GENERATOR.reach_mm(80.0) == 37.0
    assert GENERATOR.reach_mm(20.0) == 20.0
    session = open_loop_session(simulated_day(), 12.0)
    targets = session.trials.columns["target"]
    distance = np.hypot(*(targets - np.array(CENTRE)).T)
    assert set(np.round(distance)) == {0.0, 40.0}
    # In open loop the hand reaches every target.
    assert session.trials.columns["success"].all()
    assert np.abs(session.behavior.values[:, 1] - CENTRE[1]).max() < 60
    assert session.n_channels == N_CHANNELS
    assert session.attrs["source"].endswith(f"generator {GENERATOR.model_id}")


def test_its_units_do_not_drift() -> None:
    with pytest.raises(RtdecodeError, match=r"^--day: is 1, but the units of a generator do not drift\. Fix"):
        replace(simulated_day(), day=1)


def gru() -> ModelArtifact:
    return export(make_gru(), session="monday", bin_width_s=0.02, outputs=OUTPUTS)


def renamed(**changes: str) -> ModelArtifact:
    artifact = exported(NETS)
    return replace(artifact, outputs=(replace(artifact.outputs[0], **changes), *artifact.outputs[1:]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (gru, "a gru model does not simulate spikes from behaviour"),
        (lambda: exported([make_alignnet()]), "was trained to decode behaviour from spikes only"),
        (
            lambda: renamed(name="force"),
            "the model needs 'force', but the simulated hand has x, y, vx",
        ),
        (lambda: renamed(units="cm"), "the model has x in 'cm', the subject in 'mm'"),
        (lambda: exported(NETS, 0.0125), "its bin width of 12.5 ms is not a multiple of 1 ms"),
    ],
)
def test_other_models_are_refused(make: Callable[[], ModelArtifact], message: str) -> None:
    with pytest.raises(RtdecodeError) as refused:
        open_generator(make())
    assert str(refused.value).startswith(f"--generator: {message}")
    assert "Fix: " in str(refused.value)
