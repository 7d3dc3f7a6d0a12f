"""Fine-tuning: how far the weights are interpolated, and what does not change."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import COUNT_MAX, N_OUTPUTS, make_alignnet, make_counts

from rtdecode.calibrate.adaptation import finetune
from rtdecode.calibrate.adaptation.finetune_settings import FINETUNING
from rtdecode.calibrate.run import Run
from rtdecode.calibrate.training.trainer import interpolated
from rtdecode.calibrate.training.windows import Recording

torch.set_num_threads(1)

BIN_WIDTH_S, N_BINS = 0.5, 240


def adapted(n_labelled: int, steps: int) -> tuple[dict[str, torch.Tensor], ...]:
    """State dicts before and after, of a base and a day whose first bins are labelled."""
    net = make_alignnet(2)
    counts = np.minimum(make_counts(N_BINS), COUNT_MAX)
    targets = np.full((N_BINS, N_OUTPUTS), np.nan, np.float32)
    targets[:n_labelled] = np.random.default_rng(0).normal(size=(n_labelled, N_OUTPUTS)) * 30.0
    day = finetune.NewDay("friday", counts, targets, BIN_WIDTH_S)
    before = copy.deepcopy(net)
    settings = replace(FINETUNING, steps=steps)
    logs = finetune.adapt([net], day, Run(device="cpu"), settings)
    assert len(logs) == (n_labelled > 0)
    return before.state_dict(), net.state_dict()


def test_without_labels_only_a_read_in_is_added() -> None:
    before, after = adapted(0, 3)
    for name, tensor in before.items():
        if "read_in" not in name:
            assert torch.equal(after[name], tensor), name


def test_the_interpolation_factor_grows_with_the_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finetune, "zero_shot_r2", lambda *_: 1.0)
    before, after = adapted(N_BINS, 5)
    monkeypatch.setattr(finetune, "zero_shot_r2", lambda *_: 0.0)
    _, whole = adapted(N_BINS, 5)
    labelled_s = N_BINS * BIN_WIDTH_S
    alpha = labelled_s**2 / (labelled_s**2 + 120.0**2)
    moved = [
        name
        for name in before
        if "read_in" not in name and not torch.equal(before[name], whole[name]) and before[name].numel() > 1
    ]
    assert len(moved) > 5
    for name in moved:
        torch.testing.assert_close(
            after[name] - before[name], alpha * (whole[name] - before[name]), rtol=1e-3, atol=1e-6
        )
    for name in before:
        if "running" in name:
            assert torch.equal(before[name], after[name]), name


def test_zero_shot_values_are_those_of_the_labelled_bins() -> None:
    net = make_alignnet(2).eval()
    counts = torch.from_numpy(np.minimum(make_counts(N_BINS), COUNT_MAX).T.astype(np.float32))
    name = net.read_in.names[0]
    targets = torch.zeros((N_OUTPUTS, N_BINS))
    train = (torch.arange(N_BINS) >= N_BINS // 2).float()
    recording = Recording(name, counts, targets, train, np.zeros(N_BINS, np.bool_))
    decoded, labels = finetune._decoded([net, net], recording)
    assert decoded.shape == labels.shape == (N_BINS // 2, N_OUTPUTS)
    with torch.no_grad():
        expected = net.decode(counts[None], name)[0].numpy().T[N_BINS // 2 :]
    np.testing.assert_allclose(decoded, expected, rtol=1e-6)


def test_integers_and_names_are_not_interpolated() -> None:
    start = {"w": torch.zeros(3), "n": torch.tensor(1), "names": torch.tensor([1, 2], dtype=torch.uint8)}
    end = {"w": torch.full((3,), 4.0), "n": torch.tensor(9), "names": torch.tensor([7], dtype=torch.uint8)}
    mixed = interpolated(start, end, 0.25)
    assert mixed["w"].tolist() == [1.0] * 3
    assert mixed["n"] == 9
    assert mixed["names"].tolist() == [7]
