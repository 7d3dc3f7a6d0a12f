"""Sessions of a batch are decoded by themselves, each by the model of its tag or by its own read-in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from networks import N_CHANNELS, N_OUTPUTS, exported, make_alignnet, make_counts, make_gru

from rtdecode.artifact import ModelArtifact, write_artifact
from rtdecode.calibrate.evaluation.falcon import OTHERS, FalconDecoder
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError

N_BINS = 12


@dataclass
class Task:
    """A small task, whose files are called TAG_split.nwb."""

    n_channels: int = N_CHANNELS
    out_dim: int = N_OUTPUTS
    bin_size_ms: int = 20

    def hash_dataset(self, handle: str) -> str:
        tag, _ = handle.rsplit("_", 1)
        return tag


def alone(artifact: ModelArtifact, counts: np.ndarray) -> np.ndarray:
    values = np.empty((len(counts), N_OUTPUTS), np.float32)
    load_decoder(artifact).run(counts, values)
    return values


def together(decoder: FalconDecoder, *counts: np.ndarray) -> np.ndarray:
    """Values [sessions, bins, D] of sessions side by side."""
    return np.stack([decoder.predict(np.stack(rows)) for rows in zip(*counts, strict=True)], axis=1)


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ModelArtifact, ModelArtifact]:
    """A network's file, trained on two days and made for the first, and its model for either."""
    net = make_alignnet(sessions=("monday", "tuesday"))
    sessions = [
        {"name": "monday", "file": "monday_calib.nwb.session.h5"},
        {"name": "tuesday", "file": "x.h5"},
    ]
    monday = replace(exported(net, "monday"), provenance={"sessions": sessions})
    path = tmp_path_factory.mktemp("models") / "days.safetensors"
    write_artifact(path, monday)
    return path, monday, exported(net, "tuesday")


def test_each_session_has_a_state_and_a_read_in_of_its_own(
    two_days: tuple[Path, ModelArtifact, ModelArtifact],
) -> None:
    path, monday, tuesday = two_days
    decoder = FalconDecoder(Task(), path, batch_size=3)
    a, b, c = (make_counts(N_BINS, seed) for seed in (1, 2, 3))
    for _ in range(2):
        decoder.reset([Path("tuesday_eval.nwb"), Path("monday_eval.nwb"), "unknown"])
        found = together(decoder, a, b, c)
        np.testing.assert_array_equal(found[0], alone(tuesday, a))
        np.testing.assert_array_equal(found[1], alone(monday, b))
        np.testing.assert_array_equal(found[2], alone(monday, c))
    assert not np.array_equal(found[0], alone(monday, a))


def test_bins_that_are_only_observed_change_what_follows(
    two_days: tuple[Path, ModelArtifact, ModelArtifact],
) -> None:
    path, monday, _ = two_days
    counts = make_counts(N_BINS)
    decoder = FalconDecoder(Task(), str(path), batch_size=2)
    decoder.reset(["monday"])
    for row in counts[:-1]:
        decoder.observe(row[np.newaxis])
        decoder.on_done(np.array([True]))
    # The evaluator may fill a batch up with rows.
    last = decoder.predict(np.stack([counts[-1], np.zeros(N_CHANNELS, np.uint8)]).astype(np.int64))
    np.testing.assert_array_equal(last, np.stack([alone(monday, counts)[-1], np.zeros(N_OUTPUTS)]))


def test_a_tag_has_its_own_model(two_days: tuple[Path, ModelArtifact, ModelArtifact], tmp_path: Path) -> None:
    path, monday, _ = two_days
    gru = exported(make_gru())
    write_artifact(tmp_path / "gru.safetensors", gru)
    decoder = FalconDecoder(Task(), {"friday": tmp_path / "gru.safetensors", OTHERS: path})
    decoder.set_batch_size(2)
    decoder.reset([Path("friday_eval.nwb"), Path("odd.nwb")])
    counts = make_counts(N_BINS)
    found = together(decoder, counts, counts)
    np.testing.assert_array_equal(found[0], alone(gru, counts))
    np.testing.assert_array_equal(found[1], alone(monday, counts))
    alone_for_friday = FalconDecoder(Task(), {"friday": tmp_path / "gru.safetensors"})
    with pytest.raises(RtdecodeError, match="no model of session 'monday', only of friday"):
        alone_for_friday.reset(["monday"])


@pytest.mark.parametrize(
    ("task", "what"),
    [
        (Task(n_channels=96), "7 channels, and the task 96"),
        (Task(out_dim=2), r"3 outputs \(x, y, vx\), and the task 2"),
        (Task(bin_size_ms=10), "20 ms of a bin, and the task 10"),
    ],
)
def test_a_model_of_another_task_is_refused(
    task: Task, what: str, two_days: tuple[Path, ModelArtifact, ModelArtifact]
) -> None:
    with pytest.raises(RtdecodeError, match=what) as refused:
        FalconDecoder(task, two_days[0])
    assert refused.value.where == str(two_days[0])


def test_observations_of_another_shape_are_refused(
    two_days: tuple[Path, ModelArtifact, ModelArtifact],
) -> None:
    decoder = FalconDecoder(Task(), two_days[0])
    decoder.reset(["monday", "tuesday"])
    for shape in ((2, 3), (1, N_CHANNELS), (N_CHANNELS,)):
        with pytest.raises(RtdecodeError, match=r"not \[2, 7\]"):
            decoder.predict(np.zeros(shape, np.uint8))
