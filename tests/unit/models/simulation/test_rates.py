"""Which models simulate spikes from behaviour, and their rates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import OUTPUTS, exported, make_alignnet, make_gru, trained_to_simulate

from rtdecode.errors import RtdecodeError
from rtdecode.models.ensemble.join import ensemble_of
from rtdecode.models.export.float16 import train_in_float16
from rtdecode.models.simulation.rates import (
    check_session,
    folded_session,
    simulated_rates,
    simulating_networks,
)


def test_the_rates_are_the_mean_of_the_members() -> None:
    nets = [trained_to_simulate(make_alignnet(seed, ("monday", "tuesday"))) for seed in (0, 1)]
    artifact = train_in_float16(ensemble_of([exported(net, "tuesday") for net in nets]))
    again = simulating_networks(artifact)
    assert folded_session(artifact) == "tuesday"
    z = np.random.default_rng(0).standard_normal((50, len(OUTPUTS))).astype(np.float32)
    with torch.no_grad():
        each = [net.simulate(torch.from_numpy(z.T.copy())[None], "monday")[0].numpy().T for net in nets]
    np.testing.assert_allclose(simulated_rates(again, z, "monday"), np.mean(each, axis=0), rtol=1e-5)


def test_other_kinds_are_refused() -> None:
    with pytest.raises(
        RtdecodeError, match=r"a gru model does not simulate spikes from behaviour\. Fix: use one that"
    ):
        simulating_networks(exported(make_gru()))


@pytest.mark.parametrize("taught", [(), (0,), (1,)])
def test_networks_trained_in_one_direction_only_are_refused(taught: tuple[int, ...]) -> None:
    nets = [make_alignnet(seed) for seed in (0, 1)]
    for i in taught:
        trained_to_simulate(nets[i])
    with pytest.raises(
        RtdecodeError, match=r"behaviour from spikes only, .*\. Fix: use one that rtdecode pretrain"
    ):
        simulating_networks(ensemble_of([exported(net) for net in nets]))


def test_the_trained_directions_are_found_from_the_network() -> None:
    net = make_alignnet()
    net.train()
    counts, z = torch.ones(2, 7, 16), torch.zeros(2, len(OUTPUTS), 16)
    net.decode(counts, "monday")
    with pytest.raises(RtdecodeError, match="was trained to decode"):
        simulating_networks(exported(net))
    net(counts, z, "monday")
    assert simulating_networks(exported(net))


def test_an_unknown_session_is_refused_with_the_names_of_the_others() -> None:
    few = [make_alignnet(sessions=("monday", "tuesday"))]
    assert check_session(few, "tuesday", "--session") == "tuesday"
    with pytest.raises(RtdecodeError, match=r"--session: .* 'friday', but monday, tuesday\. Fix"):
        check_session(few, "friday", "--session")
    many = [make_alignnet(sessions=[f"day{i}" for i in range(9)])]
    with pytest.raises(RtdecodeError, match="day0, day1, day2, …, day8"):
        check_session(many, "friday", "--session")
