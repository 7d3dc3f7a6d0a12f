"""Members of an ensemble one after the other: threads, seeds."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from rtdecode.calibrate.run import Run
from rtdecode.calibrate.training import ensemble
from rtdecode.calibrate.training.ensemble import member_seeds, train_members
from rtdecode.calibrate.training.settings import TrainingSettings
from rtdecode.calibrate.training.windows import Recording
from rtdecode.models.networks.gru import GRUNet, GRUNetSettings

N_BINS, N_CHANNELS = 60, 4


def trained(n_members: int, run: Run) -> int:
    """Trains this many networks for a step each; returns the number of logs."""
    recording = Recording.of(
        "s",
        np.ones((N_BINS, N_CHANNELS), np.uint8),
        np.zeros((N_BINS, 2)),
        np.ones(N_BINS, np.bool_),
    )
    nets = [GRUNet(GRUNetSettings(N_CHANNELS, 2, count_max=20, hidden=4)) for _ in range(n_members)]
    for net in nets:
        net.read_in.add("s", np.ones(N_CHANNELS), np.ones(N_CHANNELS))
    return len(train_members(nets, [recording], TrainingSettings(steps=1, batch=2, window_bins=20), run))


def test_seeds_of_members_differ_and_repeat() -> None:
    assert member_seeds(3, 1) == [3]
    assert member_seeds(3, 4) == member_seeds(3, 4)
    assert len({*member_seeds(3, 4), *member_seeds(4, 4)}) == 8


def test_one_network_trains_on_one_thread_and_restores_their_number() -> None:
    """Two that share a core with another process take ten times as long."""
    seen: set[int] = set()
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        trained(1, Run(device="cpu", progress=lambda _: seen.add(torch.get_num_threads())))
        assert seen == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_members_train_in_this_process_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job with a core to itself starts no processes."""

    def in_parallel(*_: object) -> None:
        raise AssertionError("processes were started")

    monkeypatch.setattr(ensemble, "_in_parallel", in_parallel)
    monkeypatch.setattr(ensemble, "cpu_count", lambda: 4)
    done: list[float] = []
    pids: set[int] = set()
    run = Run(device="cpu", at_once=1, progress=lambda part: (done.append(part), pids.add(os.getpid())))  # type: ignore[func-returns-value]
    assert trained(3, run) == 3
    assert pids == {os.getpid()}
    assert done == sorted(done)
    assert done[-1] == 1.0
