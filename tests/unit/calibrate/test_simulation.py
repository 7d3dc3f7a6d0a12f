"""A simulated session: spikes drawn from the model's rates, in the labelled bins and in no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from networks import N_CHANNELS, OUTPUTS, exported, make_alignnet, trained_to_simulate
from simulated_days import behavior_of, with_behavior

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.data.sessions import file_sha256
from rtdecode.calibrate.simulation import OWN, simulate_session
from rtdecode.errors import RtdecodeError
from rtdecode.models.networks.alignnet import AlignNet
from rtdecode.models.simulation.rates import simulated_rates
from rtdecode.session.bins import behavior_at, bin_session
from rtdecode.session.layout import Behavior, Counts, Events, Session, Trials
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session

WIDTH_S = 0.02
N_BINS = 600


@pytest.fixture(scope="module")
def net() -> AlignNet:
    return trained_to_simulate(make_alignnet(sessions=("monday", "tuesday")))


@pytest.fixture(scope="module")
def artifact(net: AlignNet) -> ModelArtifact:
    return exported(net, "tuesday")


@pytest.fixture
def session() -> Session:
    """Twelve seconds from second 5 on, channel 2 dead; the model's outputs are columns 3, 1 and 2."""
    rng = np.random.default_rng(3)
    counts = rng.poisson(0.4, (N_BINS, N_CHANNELS)).astype(np.uint8)
    counts[:, 2] = 0
    time = 5.0 + (np.arange(1200) + 1) / 100
    z = np.sin(time[:, None] * np.array([1.7, 2.9, 4.1]) + np.arange(3))
    values = z * [output.sd for output in OUTPUTS] + [output.mean for output in OUTPUTS]
    columns = np.column_stack((np.ones(1200), values[:, 1], values[:, 2], values[:, 0])).astype(np.float32)
    return Session(
        n_channels=N_CHANNELS,
        counts=Counts(counts, WIDTH_S, 5.0),
        behavior=Behavior(time, columns, ("pupil", "y", "vx", "x"), ("px", "mm", "mm/s", "mm")),
        trials=Trials(np.array([6.0]), np.array([7.0]), {"target": np.ones((1, 2), np.float32)}),
        attrs={"session_id": "friday", "license": "CC BY 4.0", "source": "a lab", "recorded_by": "someone"},
    )


def with_hole(session: Session) -> Session:
    """Without behaviour from second 8 to second 10."""
    behavior = behavior_of(session)
    kept = (behavior.time < 8.0) | (behavior.time > 10.0)
    return with_behavior(session, time=behavior.time[kept], values=behavior.values[kept])


def test_rates_are_what_the_network_simulates(
    session: Session, artifact: ModelArtifact, net: AlignNet
) -> None:
    made = simulate_session(session, artifact, read_in="monday")
    targets = behavior_at(session.behavior, bin_session(session, WIDTH_S).t_bin)[:, [3, 1, 2]]
    z = (targets - [output.mean for output in OUTPUTS]) / [output.sd for output in OUTPUTS]
    assert made.labelled.all()
    np.testing.assert_allclose(
        made.rates, simulated_rates([net], z.astype(np.float32), "monday"), rtol=1e-4, atol=1e-5
    )
    # The drawn spikes have these rates, channel by channel, but for chance and a clip at four.
    chance = np.sqrt(made.rates.mean(axis=0) / N_BINS)
    assert (np.abs(made.counts.mean(axis=0) - made.rates.mean(axis=0)) < 4 * chance).all()


def test_the_file_holds_the_drawn_spikes(session: Session, artifact: ModelArtifact, tmp_path: Path) -> None:
    made = simulate_session(session, artifact, seed=4)
    write_session(tmp_path / "out.h5", made.session)
    again = read_session(tmp_path / "out.h5")
    assert len(again.events.time) == made.counts.sum()
    np.testing.assert_array_equal(again.counts.values, made.counts)
    # The events alone, in the same bins, are these counts: a stream of them is decoded as the file is.
    row = np.floor((again.events.time - 5.0) / WIDTH_S).astype(int)
    counted = np.zeros_like(made.counts)
    np.add.at(counted, (row, again.events.channel), 1)
    np.testing.assert_array_equal(counted, made.counts)
    inside = (again.events.time - 5.0) / WIDTH_S - row
    assert 0.45 < inside.mean() < 0.55
    np.testing.assert_array_equal(again.behavior.values, session.behavior.values)
    assert again.trials is not None
    assert again.name == "friday-simulated"
    assert again.attrs["license"] == "CC BY 4.0"
    assert "recorded_by" not in again.attrs
    assert again.attrs["source"] == (
        f"simulated: spikes of model {artifact.model_id}, seed 4, rates by its own spikes, for the behaviour "
        "of friday (a lab)"
    )


def test_the_seed_decides_over_the_spikes_and_nothing_else(session: Session, artifact: ModelArtifact) -> None:
    first, again, other = (simulate_session(session, artifact, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.session.events.time, again.session.events.time)
    np.testing.assert_array_equal(first.counts, again.counts)
    assert (first.counts != other.counts).any()
    np.testing.assert_array_equal(first.rates, other.rates)


def test_nothing_fires_where_behaviour_is_unknown(session: Session, artifact: ModelArtifact) -> None:
    made = simulate_session(with_hole(session), artifact)
    unknown = ~made.labelled
    # From the first bin that ends after the last sample to the one before the next sample.
    assert 98 <= unknown.sum() <= 101
    assert np.isnan(made.rates[unknown]).all()
    assert np.isfinite(made.rates[made.labelled]).all()
    assert not made.counts[unknown].any()
    assert made.counts[made.labelled].any()
    assert any("behaviour is unknown for 2.0 s: no spikes are simulated there" in note for note in made.notes)
    # Scores are of the other bins.
    recorded = session.counts.values[made.labelled]
    np.testing.assert_allclose(made.comparison.rate_hz, recorded.mean(axis=0) / WIDTH_S)
    np.testing.assert_allclose(made.firing, (made.counts[made.labelled] > 0).mean(axis=0))


def test_spikes_need_all_outputs(session: Session, artifact: ModelArtifact) -> None:
    behavior = behavior_of(session)
    values = behavior.values.copy()
    values[600:800, 2] = np.nan
    made = simulate_session(with_behavior(session, values=values), artifact)
    assert 98 <= (~made.labelled).sum() <= 101
    assert not made.counts[~made.labelled].any()
    assert any("since that needs all outputs (vx unknown in" in note for note in made.notes)


def test_by_default_the_recorded_spikes_scale_the_channels(
    session: Session, artifact: ModelArtifact, net: AlignNet
) -> None:
    made = simulate_session(session, artifact)
    assert made.read_in == OWN
    assert made.rates[:, 2].max() == 0
    monday = simulate_session(session, artifact, read_in="monday")
    assert monday.read_in == "monday"
    assert monday.rates[:, 2].min() > 0
    own_sd = np.minimum(session.counts.values, 4).std(axis=0)
    its_sd = net.read_in.sd("monday", 1)[0, :, 0].numpy()
    alive = np.arange(N_CHANNELS) != 2
    gain = (made.rates / monday.rates)[:, alive]
    np.testing.assert_allclose(gain, np.broadcast_to((own_sd / its_sd)[alive], gain.shape), rtol=1e-3)


def test_the_comparison_is_by_equations_19_and_20(session: Session, artifact: ModelArtifact) -> None:
    made = simulate_session(session, artifact)
    recorded = session.counts.values.astype(float)
    by_hand = [np.corrcoef(made.rates[:, c], recorded[:, c])[0, 1] for c in (0, 5)]
    np.testing.assert_allclose(made.comparison.pcc[[0, 5]], by_hand, rtol=1e-6)
    assert np.isnan(made.comparison.pcc[2])
    np.testing.assert_allclose(made.comparison.firing, (recorded >= 1).mean(axis=0))


def test_without_as_many_channels_nothing_is_compared(session: Session, artifact: ModelArtifact) -> None:
    other = replace(
        session, n_channels=2, counts=None, events=Events(np.array([5.5, 9.0]), np.array([0, 1], np.uint16))
    )
    made = simulate_session(other, artifact)
    assert made.comparison is None
    assert made.read_in == "tuesday"
    assert made.session.n_channels == N_CHANNELS
    assert any("2 channels were recorded and 7 simulated: not compared" in note for note in made.notes)


def test_a_model_that_was_trained_on_the_session_has_a_note(
    session: Session, artifact: ModelArtifact, tmp_path: Path
) -> None:
    write_session(tmp_path / "friday.h5", session)
    again, sha256 = read_session(tmp_path / "friday.h5"), file_sha256(tmp_path / "friday.h5")
    assert simulate_session(again, artifact).notes == []
    for validation, n_notes in ((False, 1), (True, 0)):
        seen = {"sessions": [{"name": "friday", "sha256": sha256, "validation": validation}]}
        trained = replace(artifact, provenance=artifact.provenance | seen)
        assert len(simulate_session(again, trained).notes) == n_notes


def test_an_unusable_session_is_refused_with_its_reason(session: Session, artifact: ModelArtifact) -> None:
    silent = replace(session.counts, values=np.zeros_like(session.counts.values))
    for changed, message in (
        (replace(session, behavior=None), "friday: has no behaviour to simulate from. Fix: record with"),
        (
            with_behavior(session, names=("pupil", "y", "vx", "z")),
            "friday: has no behaviour called 'x', which the model decodes, only pupil, y, vx, z. Fix",
        ),
        (
            with_behavior(session, units=("px", "mm", "mm/s", "cm")),
            "friday: x is in 'cm', and in 'mm' in the model. Fix: use a model",
        ),
        (
            with_behavior(session, time=behavior_of(session).time + 1e4),
            "friday: has no behaviour in any bin with spikes. Fix",
        ),
        (replace(session, counts=silent), "friday: no channel fires at 0.05 Hz or more. Fix"),
    ):
        with pytest.raises(RtdecodeError) as refused:
            simulate_session(changed, artifact)
        assert str(refused.value).startswith(message), str(refused.value)
    # The statistics of a training day are enough for a silent session.
    assert simulate_session(replace(session, counts=silent), artifact, read_in="monday").counts.any()


def test_a_model_in_other_units_is_refused(session: Session, net: AlignNet) -> None:
    in_cm = replace(exported(net), outputs=(replace(OUTPUTS[0], units="cm"), *OUTPUTS[1:]))
    with pytest.raises(RtdecodeError, match="x is in 'mm', and in 'cm' in the model"):
        simulate_session(session, in_cm)
