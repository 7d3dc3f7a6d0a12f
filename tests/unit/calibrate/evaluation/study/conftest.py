"""A simulated study of two kinds, and one of all kinds."""

from __future__ import annotations

from pathlib import Path

import pytest
from studies import simulated_study

from rtdecode.calibrate.evaluation.study.frames import StudyFrames, study_frames
from rtdecode.calibrate.evaluation.study.rows import Row


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study's folder, with traces."""
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="session")
def rows(folder: Path) -> list[Row]:
    return simulated_study(folder, kinds=["gru", "alignnet"], n_channels=20, n_bins=600)


@pytest.fixture(scope="session")
def frames(rows: list[Row]) -> StudyFrames:
    return study_frames(rows)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> StudyFrames:
    """Of all kinds."""
    return study_frames(simulated_study(tmp_path_factory.mktemp("whole"), n_channels=16, n_bins=300))
