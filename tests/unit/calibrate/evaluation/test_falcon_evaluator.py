"""FALCON's own evaluator runs our models on files in its format, by the example that users copy."""

from __future__ import annotations

import inspect
import runpy
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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

EXAMPLE = Path(__file__).parents[4] / "examples" / "falcon.py"
N_BINS = 120
M1_FILES = [f"sub-MonkeyL-held-in-minival_ses-{day}_behavior+ecephys.nwb" for day in (
    "20120924", "20120926", "20120927", "20120928",
)]  # fmt: skip
M2_FILES = [f"sub-MonkeyN-held-in-minival_ses-2020-10-{run}_behavior+ecephys.nwb" for run in (
    "19-Run1", "19-Run2", "20-Run1", "20-Run2", "27-Run1", "27-Run2", "28-Run1",
)]  # fmt: skip
BIN_S = 0.02
MUSCLES = tuple(f"muscle_{i:02d}" for i in range(16))


def write_m2(path: Path, seed: int, n_bins: int, *, n_channels: int = 96) -> Path:
    """Velocities of two fingers, stamped with the starts of their bins; two trials, a tenth masked."""
    start = np.arange(n_bins) * BIN_S
    values, times = _moved(seed, n_bins, 2, n_channels, start)
    return _write(path, "finger_vel", ("index", "mrs"), values, start, times)


def write_m1(path: Path, seed: int, n_bins: int, *, n_channels: int = 64) -> Path:
    """Activity of 16 muscles, stamped with the ends of their bins."""
    end = np.arange(1, n_bins + 1) * BIN_S
    values, times = _moved(seed, n_bins, len(MUSCLES), n_channels, end - BIN_S)
    return _write(path, "preprocessed_emg", MUSCLES, values, end, times)


def _moved(seed: int, n_bins: int, n_outputs: int, n_channels: int, start: np.ndarray) -> Any:
    """Smooth behaviour, and spikes that follow it, each well inside its bin."""
    # All files of a data set have the same array and the same two degrees of freedom.
    fixed = np.random.default_rng(0)
    tuning, mixing = fixed.normal(size=(2, n_channels)), fixed.normal(size=(2, n_outputs))
    rng = np.random.default_rng(seed)
    moved = np.sin(2 * np.pi * (np.array([0.5, 0.8]) * start[:, None] + rng.uniform(0, 1, 2)))
    counts = rng.poisson(np.exp(-1.5 + 0.8 * moved @ tuning).clip(max=3.0))
    times = [np.repeat(start, each) + rng.uniform(0.002, 0.018, each.sum()) for each in counts.T]
    return 0.01 * moved @ mixing, [np.sort(each) for each in times]


def _units(times: Any, end_s: float) -> Any:
    from hdmf.common import VectorData, VectorIndex
    from pynwb.misc import Units

    spikes = VectorData(name="spike_times", description="s", data=np.concatenate(times))
    observed = VectorData(name="obs_intervals", description="s", data=np.array([[0.0, end_s]] * len(times)))
    ends = {
        "spike_times": np.cumsum([len(each) for each in times]),
        "obs_intervals": np.arange(len(times)) + 1,
    }
    indices = [
        VectorIndex(name=f"{of.name}_index", target=of, data=ends[of.name]) for of in (spikes, observed)
    ]
    columns = [indices[0], spikes, indices[1], observed]
    return Units(
        name="units", description="units", columns=columns, colnames=list(ends), id=list(range(len(times)))
    )


def _write(
    path: Path, name: str, columns: tuple[str, ...], values: np.ndarray, stamps: np.ndarray, times: Any
) -> Path:
    import pynwb
    from pynwb.behavior import BehavioralTimeSeries

    file = pynwb.NWBFile(
        session_description="a data set in FALCON's format",
        identifier=path.stem,
        session_start_time=datetime(2020, 10, 19, tzinfo=UTC),
    )
    end_s = len(stamps) * BIN_S
    file.units = _units(times, end_s)
    container = BehavioralTimeSeries(name=name)
    for column, each in zip(columns, values.T, strict=True):
        container.create_timeseries(
            name=column, data=each, unit="AU", timestamps=stamps, comments=f"columns=[{column}]"
        )
    file.add_acquisition(container)
    mask = np.ones(len(stamps), bool)
    mask[: len(mask) // 10] = False
    file.add_acquisition(
        pynwb.TimeSeries(
            name="eval_mask", description="what is scored", data=mask, timestamps=stamps, unit="bool"
        )
    )
    file.add_trial(start_time=float(stamps[0]), stop_time=end_s / 2)
    file.add_trial(start_time=float(stamps[len(stamps) // 2]), stop_time=end_s)
    path.parent.mkdir(parents=True, exist_ok=True)
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return path


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
    foreign: Callable[[str], Any],
) -> None:
    foreign("falcon_challenge.evaluator")
    foreign("pynwb")
    calibration = write(tmp_path / "calib.nwb", seed=1, n_bins=1500)
    write_session(tmp_path / "calib.h5", imported(calibration, choice))
    artifact = fit_sessions([tmp_path / "calib.h5"]).artifact
    (tmp_path / "models").mkdir()
    write_artifact(tmp_path / "models" / "others.safetensors", artifact)
    minival = [tmp_path / "data" / task / "minival" / name for name in files]
    # The first file is shorter, and is filled up in its batch.
    write(minival[0], seed=2, n_bins=N_BINS - 20)
    write(minival[1], seed=3, n_bins=N_BINS)
    for path in minival[2:]:
        shutil.copy(minival[1], path)

    for name in ("EVAL_DATA_PATH", "PREDICTION_PATH_LOCAL", "GT_PATH"):
        monkeypatch.setenv(name, str(tmp_path / ("data" if name == "EVAL_DATA_PATH" else name)))
    options = {"evaluation": "local", "split": task, "models": str(tmp_path / "models"), "batch-size": "3"}
    main = runpy.run_path(str(EXAMPLE))["main"]
    results = main([part for name, value in options.items() for part in (f"--{name}", value)])
    found = results["submission_result"][f"minival_split_{task}"]

    scores = list(our_scores(minival, choice, artifact).values())
    assert min(scores) > 0.5
    assert found["Held In R2 Mean"] == pytest.approx(np.mean(scores), abs=1e-6)
    assert found["Held In R2 Std."] == pytest.approx(np.std(scores), abs=1e-6)


def test_the_decoder_has_the_methods_of_the_challenges_interface(foreign: Callable[[str], Any]) -> None:
    interface = foreign("falcon_challenge.interface").BCIDecoder
    wanted = {name: of for name, of in vars(interface).items() if inspect.isfunction(of) and name[0] != "_"}
    assert {"reset", "predict", "observe", "on_done", "set_batch_size"} <= wanted.keys()
    for name, method in wanted.items():
        ours = inspect.signature(getattr(FalconDecoder, name)).parameters
        assert list(ours) == list(inspect.signature(method).parameters)
