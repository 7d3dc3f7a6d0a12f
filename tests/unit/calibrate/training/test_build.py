"""Untrained networks and the windows they are trained on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rtdecode.artifact import count_max_at
from rtdecode.calibrate.training.build import LONGEST_S, new_network, training_settings
from rtdecode.calibrate.training.devices import chosen_device
from rtdecode.calibrate.training.settings import ONE_DAY, Augmentation, TrainingSettings
from rtdecode.calibrate.training.windows import Recording
from rtdecode.errors import RtdecodeError
from rtdecode.models.networks.alignnet import AlignNet


@pytest.mark.parametrize(
    ("bin_width_s", "n_bins", "window_bins", "warmup_bins"),
    [(0.064, 9000, 200, 12), (0.02, 30_000, 640, 40), (0.02, 1000, 250, 40), (0.05, 120, 50, 12)],
)
def test_windows_have_the_same_length_in_seconds_and_fit_the_session(
    bin_width_s: float, n_bins: int, window_bins: int, warmup_bins: int
) -> None:
    short, long = (
        Recording.of("day", np.zeros((n, 2)), np.zeros((n, 1)), np.ones(n, bool)) for n in (30, n_bins)
    )
    settings = training_settings([short, long], bin_width_s)
    assert (settings.window_bins, settings.warmup_bins) == (window_bins, warmup_bins)


def test_leaky_neurons_start_with_time_constants_in_seconds() -> None:
    for bin_width_s in (0.02, 0.064):
        torch.manual_seed(0)
        net = new_network("alignnet", (8, 2, count_max_at(bin_width_s)), bin_width_s, ONE_DAY)
        assert isinstance(net, AlignNet)
        tau_s = -bin_width_s / torch.log(net.behavior_head.decay())
        assert 0.7 * LONGEST_S < tau_s.max() < 1.001 * LONGEST_S
        assert tau_s.min() >= bin_width_s


def test_devices() -> None:
    assert chosen_device("cpu").type == "cpu"
    assert chosen_device("auto").type in ("cpu", "cuda")
    with pytest.raises(RtdecodeError, match="--device nonsense: cannot be used"):
        chosen_device("nonsense")
    with pytest.raises(RtdecodeError, match="--device cuda:63: cannot be used"):
        chosen_device("cuda:63")


def test_files_hold_settings_under_the_same_keys_as_before() -> None:
    """Checkpoints and job ids would not be recognised otherwise."""
    changed = TrainingSettings(
        validate_first=True,
        validate_until=0.4,
        interpolation=0.3,
        norm_batches=60,
        augmentation=Augmentation(bin_width_s=0.02),
    ).recorded(7)
    assert {name: changed[name] for name in ("look_first", "withhold", "part", "settled_batches")} == {
        "look_first": True, "withhold": 0.4, "part": 0.3, "settled_batches": 60,
    }  # fmt: skip
    assert (changed["seed"], changed["ends_at_s"]) == (7, None)
    assert changed["augmentation"]["artefacts_hz"] == 0.0625
    assert set(changed) == {
        "steps", "batch", "window_bins", "warmup_bins", "learning_rate", "rise", "weight_decay", "clip",
        "validate_every", "patience", "tolerance", "look_first", "withhold", "ends_at_s", "part", "auxiliary",
        "auxiliary_every", "contrast", "direction", "cross", "frozen_norm", "settled_batches", "pull", "only",
        "read_in_rate", "augmentation", "mixed", "seed",
    }  # fmt: skip
