"""Models are found by path, by name and by stream; an error lists the existing ones."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from decoding import artifact_of, outputs
from hypothesis import given
from hypothesis import strategies as st

from rtdecode import model_store
from rtdecode.artifact import ModelArtifact, read_artifact, write_artifact
from rtdecode.errors import RtdecodeError
from rtdecode.model_store import (
    current_model,
    data_dir,
    find_by_id,
    find_model,
    history_of,
    install_current,
    list_models,
)


def make_artifact(level: float = 0.0) -> ModelArtifact:
    run = {"weight": np.full((4, 2, 1), level, "f4"), "bias": np.zeros(1)}
    return artifact_of("wiener", n_channels=4, outputs=outputs(1), run=run)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setattr(model_store, "_bundled_dir", lambda: tmp_path / "bundled")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def model(home: Path) -> Path:
    path = home / "today.safetensors"
    write_artifact(path, make_artifact())
    return path


def test_the_data_directory_is_in_xdg_data_home(home: Path) -> None:
    assert data_dir() == home / "share" / "rtdecode"


def test_a_path_is_found(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_model(str(model)) == model
    assert find_model("today.safetensors").samefile(model)
    monkeypatch.setenv("HOME", str(model.parent))
    assert find_model("~/today.safetensors") == model


def test_a_streams_current_model_is_found_by_stream_and_by_name(model: Path) -> None:
    installed = install_current(model, "M1")
    assert installed == data_dir() / "models" / "M1" / "current.safetensors"
    assert find_model(None, "M1") == find_model("M1") == current_model("M1") == installed
    assert installed.read_bytes() == model.read_bytes()


def test_a_named_model_and_a_bundled_one_are_found(model: Path, home: Path) -> None:
    named = data_dir() / "models" / "mine.safetensors"
    bundled = home / "bundled" / "theirs.safetensors"
    for path in (named, bundled):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model.read_bytes())
    assert find_model("mine") == named
    assert find_model("theirs") == bundled


def test_a_users_model_precedes_a_bundled_one_of_the_same_name(model: Path, home: Path) -> None:
    bundled = home / "bundled" / "M1.safetensors"
    bundled.parent.mkdir()
    bundled.write_bytes(model.read_bytes())
    assert find_model("M1") == bundled
    assert find_model("M1") != install_current(model, "M1") == find_model("M1")


def test_the_previous_model_is_kept(model: Path) -> None:
    first = model.read_bytes()
    current = install_current(model, "M1")
    write_artifact(model, make_artifact(1.0))
    install_current(model, "M1")
    previous = current.with_name("previous.safetensors")
    assert (previous.read_bytes(), current.read_bytes()) == (first, model.read_bytes())
    install_current(current, "M1")
    assert previous.read_bytes() == first
    assert sorted(path.name for path in current.parent.iterdir()) == [current.name, previous.name]


def test_current_is_the_current_model_of_the_stream(model: Path) -> None:
    (model.parent / "current").write_text("some other file")
    installed = install_current(model, "M1")
    assert find_model("current", "M1") == installed
    with pytest.raises(RtdecodeError, match="M2: has no current model"):
        find_model("current", "M2")


def test_a_model_of_the_history_is_found_by_its_id(model: Path) -> None:
    for level in (0.0, 1.0, 2.0):
        write_artifact(model, make_artifact(level))
        install_current(model, "M1")
    kept = find_by_id(make_artifact(0.0).model_id, [])
    assert kept is not None
    assert kept.parent == history_of("M1").folder


def test_a_damaged_model_is_not_installed(model: Path) -> None:
    current = install_current(model, "M1")
    good = current.read_bytes()
    model.write_bytes(good[:-1])
    with pytest.raises(RtdecodeError, match="truncated"):
        install_current(model, "M1")
    assert current.read_bytes() == good


def test_an_unusable_data_directory_is_reported(model: Path, home: Path) -> None:
    (home / "share").write_text("a file in the way")
    with pytest.raises(RtdecodeError, match=r"share/rtdecode/models/M1: cannot be used.*XDG_DATA_HOME"):
        install_current(model, "M1")


def test_without_a_home_folder_models_are_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(RtdecodeError, match=r"no home folder.*\. Fix: set HOME, or XDG_DATA_HOME"):
        data_dir()


def test_without_a_model_the_error_explains_how_to_make_one() -> None:
    with pytest.raises(RtdecodeError) as caught:
        find_model(None, "M1 left")
    line = str(caught.value)
    assert line.startswith("M1 left: has no current model. There is no model in ")
    assert "rtdecode fit SESSION.h5 --kind wiener --current 'M1 left'" in line
    with pytest.raises(RtdecodeError, match="neither a model nor a stream was named"):
        find_model(None, None)


def test_an_error_lists_the_existing_models(model: Path) -> None:
    install_current(model, "M1")
    model_id = make_artifact().model_id
    listed = rf"M1 \(wiener, 4 channels, 20-ms bins, {model_id}\)"
    for name, stream in [(None, "M2"), ("M2", None), ("./M2.safetensors", None), ("folder/M2", None)]:
        with pytest.raises(RtdecodeError, match=listed):
            find_model(name, stream)
    with pytest.raises(RtdecodeError, match="is a folder"):
        find_model(str(model.parent))


@pytest.mark.parametrize("name", ["~nobody-here/x", "a" * 5000, "x\0y", "x/\0", ""])
def test_an_odd_model_name_gets_one_line(name: str) -> None:
    with pytest.raises(RtdecodeError) as caught:
        find_model(name)
    assert "\n" not in str(caught.value)


def test_the_list_describes_every_readable_model(model: Path, home: Path) -> None:
    install_current(model, "M1")
    write_artifact(model, replace(make_artifact(2.0), provenance={"seed": 1}))
    install_current(model, "a/b")
    (home / "bundled").mkdir()
    write_artifact(home / "bundled" / "indy.safetensors", make_artifact(3.0))
    (data_dir() / "models" / "broken.safetensors").write_bytes(b"")
    models = list_models()
    assert {stored.name for stored in models} == {"M1", "a/b", "indy"}
    for stored in models:
        artifact = read_artifact(stored.path)
        assert (stored.kind, stored.n_channels, stored.bin_width_s) == ("wiener", 4, 0.02)
        assert stored.model_id == artifact.model_id
        assert find_model(stored.name) == stored.path


def test_the_bundled_models_are_in_the_models_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    bundled = model_store._bundled_dir()
    assert bundled.name == "pretrained"
    assert (bundled.parent / "__init__.py").is_file()


@given(stream=st.text(min_size=1), other=st.text(min_size=1))
def test_any_stream_name_is_a_safe_folder_of_its_own(stream: str, other: str) -> None:
    models = data_dir() / "models"
    folder = current_model(stream).parent
    assert folder.parent == models
    assert folder.resolve().parent == models.resolve()
    assert folder.name.isascii()
    assert len(folder.name) <= 255
    assert (current_model(other).parent == folder) == (stream == other)


@pytest.mark.parametrize("stream", ["..", ".", "../../etc", "/etc", "a/b", ".hidden", "M1 left", "%2E"])
def test_a_model_can_be_installed_under_an_odd_stream_name(model: Path, stream: str) -> None:
    installed = install_current(model, stream)
    assert installed.resolve().is_relative_to((data_dir() / "models").resolve())
    assert find_model(None, stream) == installed
    assert [stored.name for stored in list_models()] == [stream]
