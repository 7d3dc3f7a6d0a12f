"""Windows are inside their recordings, and validation blocks are never trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from rtdecode.calibrate.training.windows import (
    MARGIN_S,
    N_BLOCKS,
    Recording,
    WindowSampler,
    validation_blocks,
)


@given(st.integers(300, 3000), st.floats(0.02, 0.3), st.sampled_from([0.02, 0.064]), st.integers(0, 100))
def test_blocks_are_distributed_with_margins(n: int, part: float, width_s: float, offset: int) -> None:
    labelled = np.ones(n, bool)
    labelled[:offset] = False
    train, validation = validation_blocks(labelled, part, width_s)
    assert not (train & validation).any()
    assert not (validation & ~labelled).any()
    assert abs(validation.sum() - part * labelled.sum()) <= N_BLOCKS
    # In each fifth of the labelled time there is one.
    for chunk in np.array_split(np.flatnonzero(labelled), N_BLOCKS):
        assert validation[chunk].any()
    margin = round(MARGIN_S / width_s)
    for row in np.flatnonzero(validation):
        assert not train[max(0, row - margin) : row + margin + 1].any()


def test_a_recording_has_time_along_columns() -> None:
    counts = np.arange(6, dtype=np.uint8).reshape(3, 2)
    targets = np.array([[1.0, 2.0], [np.nan, 4.0], [5.0, 6.0]])
    train = np.array([True, False, True])
    made = Recording.of("s", counts, targets, train)
    assert made.counts.tolist() == [[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]
    np.testing.assert_array_equal(made.targets, [[1.0, np.nan, 5.0], [2.0, 4.0, 6.0]])
    assert made.train.tolist() == [1.0, 0.0, 1.0]
    assert made.counts.dtype == made.targets.dtype == made.train.dtype == torch.float32
    assert not made.validation.any()


def recording(name: str, n_bins: int, first: float) -> Recording:
    """Every bin holds its own number, which shows the position of a window."""
    numbers = torch.arange(n_bins, dtype=torch.float32) + first
    return Recording(
        session=name,
        counts=numbers.repeat(3, 1),
        targets=-numbers.repeat(2, 1),
        train=(numbers % 2).float(),
        validation=np.zeros(n_bins, bool),
    )


def test_windows_are_cut_from_their_recording() -> None:
    recordings = [recording("a", 50, 0.0), recording("b", 200, 1000.0), recording("short", 10, 5000.0)]
    batch = WindowSampler(recordings, 20, 5, seed=3).draw(400)
    assert batch.counts.shape == (400, 3, 20)
    assert batch.targets.shape == (400, 2, 20)
    assert batch.weight.shape == (400, 1, 20)
    np.testing.assert_array_equal(np.diff(batch.counts.numpy(), axis=2), 1.0)
    np.testing.assert_array_equal(batch.targets[:, 0], -batch.counts[:, 0])
    starts = {name: [] for name in ("a", "b")}
    for window, weight, name in zip(batch.counts, batch.weight, batch.sessions, strict=True):
        starts[name].append(float(window[0, 0]))
        assert not weight[0, :5].any()
        np.testing.assert_array_equal(weight[0, 5:], window[0, 5:] % 2)
    assert min(starts["a"]) >= 0
    assert max(starts["a"]) < 30
    assert min(starts["b"]) >= 1000
    assert max(starts["b"]) < 1180
    # Each bin is as likely as the next: 30 starts against 180.
    assert 20 < len(starts["a"]) < 110


def test_an_output_weighs_where_it_is_known() -> None:
    """Output 1 is unknown in the second half; a bin without any label weighs nothing for either."""
    whole = recording("a", 100, 0.0)
    whole.targets[:, 7] = np.nan
    partly = replace(whole, targets=whole.targets.clone())
    partly.targets[1, 50:] = np.nan
    before, now = (WindowSampler([each], 20, 5, seed=3).draw(200) for each in (whole, partly))
    assert before.weight.shape == (200, 1, 20)
    assert now.weight.shape == (200, 2, 20)
    numbers = before.counts[:, 0]
    assert torch.equal(now.weight[:, :1], before.weight)
    assert torch.equal(now.weight[:, 1], before.weight[:, 0] * (numbers < 50))
    assert not before.weight[:, 0][numbers == 7].any()
    assert torch.equal(now.targets[:, 1], torch.where((numbers < 50) & (numbers != 7), -numbers, 0.0))


def test_the_seed_decides() -> None:
    recordings = [recording("a", 300, 0.0)]
    draws = [WindowSampler(recordings, 20, 5, seed=seed).draw(8).counts for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
