"""Members in turn and side by side: threads, seeds."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from rtdecode.calibrate.training import ensemble as parallel
from rtdecode.calibrate.training.ensemble import member_seeds, train_members
from rtdecode.calibrate.training.settings import TrainingSettings
from rtdecode.calibrate.training.trainer import TrainingLog
from rtdecode.models.networks.gru import GRUNet, GRUNetSettings


def test_seeds_of_members_differ_and_repeat() -> None:
    assert member_seeds(3, 1) == [3]
    assert member_seeds(3, 4) == member_seeds(3, 4)
    assert len({*member_seeds(3, 4), *member_seeds(4, 4)}) == 8


def test_one_network_trains_on_one_thread_and_gives_the_others_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that share a core with something else take ten times as long."""
    seen = []

    def train(*_: object) -> TrainingLog:
        seen.append(torch.get_num_threads())
        return TrainingLog(1, 1, (np.nan,))

    monkeypatch.setattr(parallel, "train", train)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        net = GRUNet(GRUNetSettings(4, 2, count_max=20))
        train_members([net], [], TrainingSettings(), torch.device("cpu"), lambda _: None)
        assert seen == [1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_members_train_in_this_process_where_one_at_a_time_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A job that has a core to itself begins no processes."""
    pids = []

    def train(*_: object) -> TrainingLog:
        pids.append(os.getpid())
        return TrainingLog(1, 1, (np.nan,))

    monkeypatch.setattr(parallel, "train", train)
    monkeypatch.setattr(parallel, "cpu_count", lambda: 4)
    nets = [GRUNet(GRUNetSettings(4, 2, count_max=20)) for _ in range(3)]
    logs = train_members(nets, [], TrainingSettings(), torch.device("cpu"), lambda _: None, at_once=1)
    assert len(logs) == 3
    assert pids == [os.getpid()] * 3
