"""The artifact reads back as it was written, and anything else is refused in one line."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtdecode.artifact import (
    METADATA_KEY,
    ElectrodeArray,
    ModelArtifact,
    Output,
    check_same_arrays,
    count_max_at,
    infer_role,
    read_artifact,
    write_artifact,
)
from rtdecode.errors import RtdecodeError


def make_artifact(**changes: Any) -> ModelArtifact:
    rng = np.random.default_rng(0)
    settings: dict[str, Any] = {
        "kind": "wiener",
        "causal": True,
        "bin_width_s": 0.02,
        "n_channels": 5,
        "channel_mask": (True, True, False, True, True),
        "outputs": (Output("x", "mm", 1.5, 20.0, "position"), Output("vx", "mm/s", 0.0, 90.0, "velocity")),
        "count_max": 20,
        "run": {"weight": rng.normal(size=(5, 3, 2)).astype("f4"), "bias": rng.normal(size=2)},
        "train": {"mean": rng.normal(size=5).astype("f4")},
        "provenance": {"sessions": ["indy_20161005_06"], "seed": 0, "scores": {"r2": [0.5, None]}},
    }
    return ModelArtifact(**(settings | changes))


def metadata_of(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata: dict[str, Any] = json.loads(header["__metadata__"][METADATA_KEY])
    return metadata


def damage(path: Path, text: str, tensors: dict[str, Any] | None = None) -> None:
    """Write the file again with other metadata, and with these tensors too."""
    kept = safetensors.numpy.load_file(path)
    safetensors.numpy.save_file(kept | (tensors or {}), path, metadata={METADATA_KEY: text})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    write_artifact(path, make_artifact())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(RtdecodeError) as caught:
        read_artifact(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    assert "Fix: " in line
    return line


NETWORK = {"kind": "alignnet", "widths": (64, 128), "fractional_bits": 12, "normaliser": {"rate": [1.0, 2.5]}}


@pytest.mark.parametrize("changes", [{}, NETWORK])
def test_an_artifact_reads_back_as_it_was_written(path: Path, changes: dict[str, Any]) -> None:
    written = make_artifact(**changes)
    write_artifact(path, written)
    read = read_artifact(path)
    for field in fields(ModelArtifact):
        if field.name not in ("run", "train"):
            assert getattr(read, field.name) == getattr(written, field.name)
    assert read.model_id == written.model_id
    for tensors, expected in ((read.run, written.run), (read.train, written.train)):
        assert tensors.keys() == expected.keys()
        for name in tensors:
            assert tensors[name].dtype == expected[name].dtype
            np.testing.assert_array_equal(tensors[name], expected[name])
    data = path.read_bytes()
    write_artifact(path, read)
    assert path.read_bytes() == data


def test_integers_for_floats_read_back_as_the_same_model(path: Path) -> None:
    written = make_artifact(bin_width_s=1, outputs=(Output("x", "mm", 0, 1, "position"),))
    write_artifact(path, written)
    assert read_artifact(path).model_id == written.model_id


def test_the_model_id_depends_on_what_the_engine_reads_and_nothing_else() -> None:
    artifact = make_artifact()
    assert len(artifact.model_id) == 8
    assert int(artifact.model_id, 16) >= 0
    same = [
        replace(artifact, provenance={}),
        replace(artifact, train={}),
        replace(artifact, run=dict(reversed(artifact.run.items()))),
    ]
    assert {other.model_id for other in same} == {artifact.model_id}
    weight = artifact.run["weight"].copy()
    weight[0, 0, 0] = np.nextafter(weight[0, 0, 0], np.float32(9))
    changes: dict[str, list[Any]] = {
        "run": [
            artifact.run | {"weight": weight},
            artifact.run | {"bias": artifact.run["bias"].astype("f4")},
            {"weight": artifact.run["weight"], "offset": artifact.run["bias"]},
            artifact.run | {"weight": artifact.run["weight"].reshape(5, 6, 1)},
        ],
        "causal": [False],
        "bin_width_s": [0.021],
        "channel_mask": [(True,) * 5],
        "count_max": [21],
        "outputs": [artifact.outputs[::-1]],
        "widths": [(64,)],
        "fractional_bits": [0, 12],
        "normaliser": [{}],
    }
    different = [replace(artifact, **{name: each}) for name, values in changes.items() for each in values]
    assert len({other.model_id for other in [artifact, *different]}) == 14


def test_an_artifact_keeps_its_own_copy_of_the_arrays() -> None:
    bias = np.zeros(2)
    artifact = make_artifact(run={"bias": bias})
    bias[0] = 1.0
    assert artifact.run["bias"][0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        artifact.run["bias"][0] = 1.0


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"n_channels": 0, "channel_mask": ()}, "n_channels is 0"),
        ({"channel_mask": (True,)}, "covers 1 of 5 channels"),
        ({"bin_width_s": 0.0}, "bin_width_s is 0.0; it must be above 0"),
        ({"bin_width_s": -0.02}, "bin_width_s is -0.02"),
        ({"bin_width_s": math.nan}, "bin_width_s is nan"),
        ({"bin_width_s": math.inf}, "bin_width_s is inf"),
        ({"count_max": 0}, "count_max is 0"),
        ({"count_max": 256}, "count_max is 256"),
        ({"outputs": ()}, "has no outputs"),
        ({"outputs": (Output("x", "mm", 0, 1, "position"),) * 2}, "two outputs have the name 'x'"),
        ({"widths": (64, 0)}, "each must be 1 or more"),
        ({"fractional_bits": 25}, "fractional_bits is 25"),
        ({"run": {"weight": np.array([0.0, np.nan], "f4")}}, "run.weight holds NaN"),
        ({"train": {"mean": np.array([np.inf])}}, "train.mean holds NaN or infinity"),
        ({"run": {"weight": np.array(["a"])}}, "not numbers"),
        ({"provenance": {"score": math.nan}}, "provenance cannot be written as JSON"),
        ({"normaliser": {"rate": {1, 2}}}, "normaliser cannot be written as JSON"),
    ],
)
def test_invalid_settings_are_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RtdecodeError, match=complaint) as caught:
        make_artifact(**changes)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": ""}, "no name"),
        ({"mean": math.nan}, "mean of output 'x' is nan"),
        ({"sd": 0.0}, "SD of output 'x' is 0.0"),
        ({"sd": -1.0}, "SD of output 'x' is -1.0"),
        ({"sd": math.inf}, "SD of output 'x' is inf"),
        ({"role": "place"}, "role of output 'x' is 'place'"),
    ],
)
def test_an_invalid_output_is_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RtdecodeError, match=complaint) as caught:
        replace(Output("x", "mm", 0.0, 1.0, "position"), **changes)
    assert caught.value.fix


def test_a_missing_file_a_folder_and_a_device_are_refused(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "missing.safetensors")
    assert "is a folder" in refusal(tmp_path)
    assert "is not a regular file" in refusal(Path("/dev/null"))


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\x89HDF\r\n\x1a\n" + bytes(100), bytes(1000), b"\xff" * 64]
)
def test_another_format_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    assert "not a model file (not safetensors)" in refusal(path)


def test_a_file_cut_anywhere_is_refused(path: Path) -> None:
    data = path.read_bytes()
    for length in [0, 7, 8, 9, 100, len(data) // 2, len(data) - 1]:
        path.write_bytes(data[:length])
        assert any(word in refusal(path) for word in ("is truncated", "not safetensors"))


def test_a_file_with_bytes_after_the_last_tensor_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")
    assert "damaged" in refusal(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"data_offsets": [8, 4]},
        {"data_offsets": [-4, 0]},
        {"data_offsets": [0, 3]},
        {"shape": [-1, -1]},
        {"shape": ["two"]},
        {"shape": [1 << 62, 1 << 62]},
        {"data_offsets": "ab"},
    ],
)
def test_a_header_with_wrong_sizes_is_refused(path: Path, changes: dict[str, Any]) -> None:
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["run.bias"] |= changes
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[end:])
    assert "damaged" in refusal(path) or "truncated" in refusal(path)


def test_training_tensors_can_be_left_out(path: Path) -> None:
    artifact = make_artifact(train={"net.w": np.arange(5.0)})
    write_artifact(path, artifact)
    assert read_artifact(path).train["net.w"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    bare = read_artifact(path, train=False)
    assert (bare.train, bare.model_id) == ({}, artifact.model_id)


def test_a_huge_file_is_refused_before_it_is_parsed(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(300 * 2**20)
    assert "larger than the 256 MiB" in refusal(path)


def test_another_programs_safetensors_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bert.safetensors"
    safetensors.numpy.save_file({"run.weight": np.zeros(3)}, path)
    assert "not an rtdecode model" in refusal(path)
    safetensors.numpy.save_file({"run.weight": np.zeros(3)}, path, metadata={"format": "pt"})
    assert "not an rtdecode model" in refusal(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '{"format_version": NaN}', "[" * 100_000])
def test_metadata_other_than_a_json_object_is_refused(path: Path, text: str) -> None:
    damage(path, text)
    assert "metadata that cannot be read" in refusal(path)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"format_version": 2}, "has format version 2; this rtdecode reads version 1. Fix: pip install"),
        ({"format_version": 0}, "format version 0"),
        ({"format_version": "1"}, "format_version"),
        ({"n_channels": -1}, "n_channels is -1"),
        ({"n_channels": 5.5}, "n_channels"),
        ({"channel_mask": [1, 1, 0, 1, 1]}, "channel_mask"),
        ({"bin_width_s": 0}, "bin_width_s is 0.0"),
        ({"bin_width_s": None}, "bin_width_s"),
        ({"count_max": 256}, "count_max is 256"),
        ({"outputs": []}, "has no outputs"),
        ({"outputs": [{"name": "x", "units": "mm", "mean": 0, "sd": 0, "role": "position"}]}, "'x' is 0.0"),
        ({"outputs": [{"name": "x", "units": "mm", "mean": 0, "sd": 1, "role": "place"}]}, "role"),
        ({"outputs": [{"name": "x"}]}, "units"),
        ({"model_id": "00000000"}, "is damaged: its model_id is 00000000"),
        ({"model_id": 3}, "model_id"),
        ({"count_max": 19}, "is damaged: its model_id is"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_invalid_metadata_is_refused(path: Path, changes: dict[str, Any], complaint: str) -> None:
    damage(path, json.dumps(metadata_of(path) | changes))
    assert complaint in refusal(path)


def test_a_missing_entry_is_refused(path: Path) -> None:
    metadata = metadata_of(path)
    for name in metadata:
        damage(path, json.dumps({key: value for key, value in metadata.items() if key != name}))
        assert name in refusal(path)


def test_numbers_beyond_float64_in_the_metadata_are_refused(path: Path) -> None:
    damage(path, json.dumps(metadata_of(path)).replace('"bin_width_s": 0.02', '"bin_width_s": 1e999'))
    refusal(path)


@pytest.mark.parametrize(
    ("tensors", "complaint"),
    [
        ({"run.weight": np.full((5, 3, 2), np.nan, "f4")}, "run.weight holds NaN"),
        ({"run.bias": np.zeros(2)}, "is damaged: its model_id is"),
        ({"weight": np.zeros(2)}, "'weight', neither run"),
        ({"run.more": np.zeros(2)}, "is damaged: its model_id is"),
    ],
)
def test_invalid_tensors_are_refused(path: Path, tensors: dict[str, Any], complaint: str) -> None:
    damage(path, json.dumps(metadata_of(path)), tensors)
    assert complaint in refusal(path)


def test_a_tensor_type_that_numpy_lacks_is_refused(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"dtype":"F32"', b'"dtype":"F8_"'))
    refusal(path)
    path.write_bytes(data.replace(b'"dtype":"F64"', b'"dtype":"C64"'))
    assert "C64" in refusal(path)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_refused_or_harmlessly_damaged(path: Path, data: st.DataObject) -> None:
    whole = make_artifact()
    write_artifact(path, whole)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged = path.with_name("damaged.safetensors")
    damaged.write_bytes(content)
    with contextlib.suppress(RtdecodeError):
        assert read_artifact(damaged).model_id == whole.model_id


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(path: Path, tmp_path: Path) -> None:
    before = path.read_bytes()
    folder = tmp_path / "folder.safetensors"
    folder.mkdir()
    for target in (folder, tmp_path / "missing" / "model.safetensors"):
        with pytest.raises(RtdecodeError, match="cannot be written"):
            write_artifact(target, make_artifact())
    assert path.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == [folder, path]


def test_counts_are_clipped_at_a_spike_a_millisecond() -> None:
    assert [count_max_at(width_s) for width_s in (0.0002, 0.001, 0.02, 0.045, 0.064, 0.25, 1.0)] == [
        *(1, 1, 20, 45, 64, 250, 255)
    ]


@pytest.mark.parametrize(
    ("name", "units", "role"),
    [
        ("x", "mm", "position"),
        ("Y", "cm", "position"),
        ("pos_x", "px", "position"),
        ("position", "deg", "position"),
        ("vx", "mm/s", "velocity"),
        ("x", "m/s", "velocity"),
        ("speed", "deg/sec", "velocity"),
        ("x", "", "other"),
        ("x", "V", "other"),
        ("force", "N", "other"),
        ("aperture", "mm", "other"),
    ],
)
def test_the_role_follows_name_and_units(name: str, units: str, role: str) -> None:
    assert infer_role(name, units) == role


def test_the_arrays_of_a_model_are_kept_and_change_its_id(tmp_path: Path) -> None:
    arrays = (ElectrodeArray("M1", 3), ElectrodeArray("PMd", 2))
    artifact = make_artifact(arrays=arrays)
    write_artifact(tmp_path / "two.safetensors", artifact)
    assert read_artifact(tmp_path / "two.safetensors").arrays == arrays
    assert artifact.model_id != make_artifact().model_id
    assert "arrays" not in make_artifact().engine_metadata()


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ((("M1", 3), ("M1", 2)), "two arrays have the name 'M1'"),
        ((("M1", 3), ("PMd", 3)), "have 6 channels together, and there are 5"),
        ((("M1", 5), ("PMd", 0)), "array 'PMd' has 0 channels"),
        ((("", 5),), "an array has the name ''"),
        ((("M1", True),), "array 'M1' has True channels"),
    ],
)
def test_arrays_that_cannot_be_are_refused(arrays: tuple[tuple[str, int], ...], what: str) -> None:
    with pytest.raises(RtdecodeError, match=what):
        make_artifact(arrays=tuple(ElectrodeArray(*each) for each in arrays))


def test_the_same_arrays_in_another_order_are_not_the_same() -> None:
    one, two = ElectrodeArray("M1", 3), ElectrodeArray("PMd", 2)
    check_same_arrays((one, two), (one, two), "the model")
    check_same_arrays((), (one, two), "the model")
    check_same_arrays((one, two), (), "the model")
    with pytest.raises(RtdecodeError, match=r"are PMd \(2 channels\), M1 \(3 channels\), those of the model"):
        check_same_arrays((two, one), (one, two), "the model")
