"""FALCON's own evaluator runs our models on files in its format, and scores them as we do."""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packages import require

from rtdecode.artifact import ModelArtifact, write_artifact
from rtdecode.calibrate.data.metrics import r2
from rtdecode.calibrate.evaluation.falcon import FalconDecoder
from rtdecode.calibrate.fitting.fit import fit_sessions
from rtdecode.decode.load import load_decoder
from rtdecode.decode.offline import decode_session
from rtdecode.session.bins import behavior_at
from rtdecode.session.layout import Session
from rtdecode.session.write import write_session
from rtdecode.tools.files.choice import Choice
from rtdecode.tools.files.convert import convert
from rtdecode.tools.files.open import open_recording

require("falcon_challenge", "pynwb")

from falcon_challenge.config import FalconConfig, FalconTask  # noqa: E402
from falcon_challenge.evaluator import FalconEvaluator  # noqa: E402
from falcon_challenge.interface import BCIDecoder  # noqa: E402
from falcon_files import write_m1, write_m2  # noqa: E402

N_BINS = 150
M1_FILES = [f"sub-MonkeyL-held-in-minival_ses-{day}_behavior+ecephys.nwb" for day in (
    "20120924", "20120926", "20120927", "20120928",
)]  # fmt: skip
M2_FILES = [f"sub-MonkeyN-held-in-minival_ses-2020-10-{run}_behavior+ecephys.nwb" for run in (
    "19-Run1", "19-Run2", "20-Run1", "20-Run2", "27-Run1", "27-Run2", "28-Run1",
)]  # fmt: skip


def imported(path: Path, choice: Choice) -> Session:
    return convert(open_recording(path), choice).session


def our_scores(files: list[Path], choice: Choice, artifact: ModelArtifact) -> dict[str, float]:
    """R² of each file's day, weighted by the variance of the outputs, as FALCON does."""
    days: dict[str, list[np.ndarray]] = {}
    for path in files:
        session = imported(path, choice)
        decoded = decode_session(session, artifact, load_decoder(artifact))
        assert session.behavior is not None
        scored = np.stack([decoded.values, behavior_at(session.behavior, decoded.t_bin)])
        # The mask of these files leaves out the first tenth.
        day = path.name.split("_ses-")[1].split("-Run")[0].split("_")[0]
        days.setdefault(day, []).append(scored[:, scored.shape[1] // 10 :])
    scores = {}
    for day, parts in days.items():
        values, targets = np.concatenate(parts, axis=1).astype(np.float64)
        variance = targets.var(axis=0)
        scores[day] = float((r2(values, targets) * variance).sum() / variance.sum())
    return scores


@pytest.mark.parametrize(
    ("task", "write", "files", "choice"),
    [
        ("m2", write_m2, M2_FILES, Choice(behavior=("finger_vel",), shift_s=0.02)),
        ("m1", write_m1, M1_FILES, Choice(behavior=("preprocessed_emg",))),
    ],
)
def test_the_evaluators_score_is_ours(
    task: str,
    write: Callable[..., Path],
    files: list[str],
    choice: Choice,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calibration = write(tmp_path / "calib.nwb", seed=1, n_bins=1500)
    write_session(tmp_path / "calib.h5", imported(calibration, choice))
    artifact = fit_sessions([tmp_path / "calib.h5"]).artifact
    write_artifact(tmp_path / "model.safetensors", artifact)
    minival = [tmp_path / "data" / task / "minival" / name for name in files]
    # The first file is shorter, and is filled up in its batch.
    write(minival[0], seed=2, n_bins=N_BINS - 20)
    write(minival[1], seed=3, n_bins=N_BINS)
    for path in minival[2:]:
        shutil.copy(minival[1], path)

    config = FalconConfig(getattr(FalconTask, task))
    decoder: Any = FalconDecoder(config, tmp_path / "model.safetensors", batch_size=3)
    for name in ("EVAL_DATA_PATH", "PREDICTION_PATH_LOCAL", "GT_PATH"):
        monkeypatch.setenv(name, str(tmp_path / ("data" if name == "EVAL_DATA_PATH" else name)))
    evaluator = FalconEvaluator(split=task, dataloader_workers=0)
    found = evaluator.evaluate(decoder, phase="minival")["submission_result"][f"minival_split_{task}"]

    scores = list(our_scores(minival, choice, artifact).values())
    assert min(scores) > 0.5
    assert found["Held In R2 Mean"] == pytest.approx(np.mean(scores), abs=1e-6)
    assert found["Held In R2 Std."] == pytest.approx(np.std(scores), abs=1e-6)


def test_the_decoder_has_the_methods_of_the_challenges_interface() -> None:
    wanted = {name: of for name, of in vars(BCIDecoder).items() if inspect.isfunction(of) and name[0] != "_"}
    assert {"reset", "predict", "observe", "on_done", "set_batch_size"} <= wanted.keys()
    for name, method in wanted.items():
        ours = inspect.signature(getattr(FalconDecoder, name)).parameters
        assert list(ours) == list(inspect.signature(method).parameters)
