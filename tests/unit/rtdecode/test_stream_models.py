"""The history of a stream's models: what is kept, listed, missing, and gone back to."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decoding import artifact_of, outputs

from rtdecode.artifact import ModelArtifact, read_artifact, write_artifact
from rtdecode.errors import RtdecodeError
from rtdecode.model_store import current_model, data_dir, history_of, install_current, previous_model
from rtdecode.stream_models import advice_to_go_back, every_stream, models_of, use_model


def make(level: float = 0.0, **provenance: Any) -> ModelArtifact:
    run = {"weight": np.full((4, 2, 1), level, "f4"), "bias": np.zeros(1)}
    return replace(artifact_of("wiener", n_channels=4, outputs=outputs(1), run=run), provenance=provenance)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    return tmp_path


def installed(folder: Path, level: float, stream: str = "M1", **provenance: Any) -> str:
    """Make a model current; its id."""
    artifact = make(level, **provenance)
    write_artifact(folder / f"{level:g}.safetensors", artifact)
    install_current(folder / f"{level:g}.safetensors", stream)
    return artifact.model_id


def ids(stream: str = "M1") -> list[str]:
    return [each.kept.model for each in models_of(stream).models]


def test_every_model_that_was_current_is_listed_with_what_is_known(folder: Path) -> None:
    calibrated = {"new": [0.5, None, 0.7], "incumbent": None}
    first = installed(folder, 1.0, created="2026-11-01T08:00:00+00:00", scores={"r2": [0.25, 0.75]})
    second = installed(
        folder, 2.0, base=first, rung="full", sessions=[{"name": "old"}, {"name": "today"}], scores=calibrated
    )
    newest, oldest = models_of("M1").models
    assert [(each.kept.model, each.current) for each in (newest, oldest)] == [(second, True), (first, False)]
    assert (newest.kept.base, newest.kept.rung, newest.kept.session) == (first, "full", "today")
    assert (newest.kept.r2, oldest.kept.r2) == (0.6, 0.5)
    assert newest.kept.source == str(folder / "2.safetensors")
    assert oldest.kept.made == "2026-11-01T08:00:00+00:00"
    assert oldest.file is not None
    assert read_artifact(oldest.file).model_id == first
    assert oldest.document()["missing"] is False


@pytest.mark.parametrize(
    "provenance",
    [
        {"scores": "good"},
        {"scores": {"new": 3}},
        {"sessions": "a"},
        {"sessions": [1]},
        {"created": 5, "base": []},
    ],
)
def test_any_provenance_is_listed(folder: Path, provenance: dict[str, Any]) -> None:
    installed(folder, 1.0, **provenance)
    (listed,) = models_of("M1").models
    assert listed.kept.r2 is listed.kept.made is listed.kept.session is listed.kept.base is None


def test_going_back_by_the_first_characters_of_an_id(folder: Path) -> None:
    first, second = installed(folder, 1.0), installed(folder, 2.0)
    (folder / "1.safetensors").unlink()
    kept, path = use_model("M1", first[:4].upper())
    assert (kept.model, path) == (first, current_model("M1"))
    assert read_artifact(path).model_id == first
    assert read_artifact(previous_model("M1")).model_id == second
    newest = models_of("M1").models[0]
    assert (newest.kept.model, newest.current) == (first, True)
    # From where it was first, which is not the history itself.
    assert newest.kept.source == str(folder / "1.safetensors")


def test_an_id_of_no_model_or_several_is_refused(folder: Path) -> None:
    with pytest.raises(RtdecodeError, match=r"M1: no models of this stream.*rtdecode fit"):
        use_model("M1", "aa")
    while len({model[0] for model in ids()}) == len(ids()):
        installed(folder, float(len(ids())))
    several = [model for model in ids() if [each[0] for each in ids()].count(model[0]) > 1]
    with pytest.raises(RtdecodeError, match=rf"2 models of this stream.*{several[0]}, {several[1]}"):
        use_model("M1", several[0][0])
    for prefix in ("", "zz"):
        with pytest.raises(RtdecodeError, match="no models of this stream have an id that starts with"):
            use_model("M1", prefix)


def test_what_was_moved_or_deleted_is_missing_and_still_listed(folder: Path) -> None:
    first, _, third = (installed(folder, level) for level in (1.0, 2.0, 3.0))
    history_of("M1").path(first).unlink()
    # The file that it came from will do.
    assert models_of("M1").models[2].file == folder / "1.safetensors"
    (folder / "1.safetensors").unlink()
    assert models_of("M1").models[2].document()["missing"] is True
    with pytest.raises(RtdecodeError, match=f"the file of model {first} is missing"):
        use_model("M1", first)
    write_artifact(folder / "1.safetensors", make(4.0))
    with pytest.raises(RtdecodeError, match=f"the file of model {first} is missing"):
        use_model("M1", first)
    assert models_of("M1").current == third


def test_a_damaged_entry_or_model_costs_no_other(folder: Path) -> None:
    first, second = installed(folder, 1.0), installed(folder, 2.0)
    history = history_of("M1").folder
    for text in ('{"model": ', '{"model": 3}', '{"model": "other", "kind": "w", "since": "x"}', "\xff"):
        (history / f"{first}.json").write_text(text, "latin-1")
        assert sorted(ids()) == sorted((first, second))
    (history / "junk.json").write_text("[]")
    (history / "junk.safetensors").write_bytes(b"")
    (history / "folder.json").mkdir()
    current_model("M1").write_bytes(b"")
    damaged = models_of("M1")
    assert (damaged.current, damaged.damaged) == (None, current_model("M1"))
    assert sorted(ids()) == sorted((first, second))
    use_model("M1", first)
    assert models_of("M1").current == first


def test_a_damaged_copy_is_no_loss_while_there_is_another(folder: Path) -> None:
    first, second = (installed(folder, level) for level in (1.0, 2.0))
    history_of("M1").path(first).write_bytes(b"")
    use_model("M1", first)
    assert models_of("M1").current == first
    for path in (folder / "1.safetensors", current_model("M1"), history_of("M1").path(first)):
        path.write_bytes(b"junk")
    with pytest.raises(RtdecodeError, match=f"the file of model {first} is damaged. Fix: copy it there"):
        use_model("M1", first)
    use_model("M1", second)


@pytest.mark.parametrize("since", ["yesterday", "0001-01-01T00:00:00+23:00", ""])
def test_an_entry_with_a_time_that_is_none_is_taken_from_the_model(folder: Path, since: str) -> None:
    first = installed(folder, 1.0)
    record = history_of("M1").path(first).with_suffix(".json")
    record.write_text(f'{{"model": "{first}", "kind": "wiener", "since": "{since}"}}')
    assert [each.kept.since[:2] for each in models_of("M1").models] == ["20"]


def test_models_of_an_earlier_version_are_listed_and_kept_when_others_come(folder: Path) -> None:
    before, old = make(1.0), make(2.0)
    current_model("M1").parent.mkdir(parents=True)
    write_artifact(previous_model("M1"), before)
    write_artifact(current_model("M1"), old)
    os.utime(previous_model("M1"), (1e9, 1e9))
    assert ids() == [old.model_id, before.model_id]
    assert models_of("M1").current == old.model_id
    assert not (data_dir() / "history").exists()
    new = installed(folder, 3.0)
    another = installed(folder, 4.0)
    assert ids() == [another, new, old.model_id, before.model_id]
    use_model("M1", before.model_id)
    assert models_of("M1").current == before.model_id
    assert models_of("M1").models[0].kept.source is None


def test_streams_with_the_same_model_have_a_history_each(folder: Path) -> None:
    for stream in ("M1", "a/b ü", "use", "..", "long" * 100):
        installed(folder, 1.0, stream)
    installed(folder, 2.0, "M1")
    listed = {each.stream: len(each.models) for each in every_stream()}
    assert len(listed) == 5
    assert (listed["M1"], listed["a/b ü"], listed["use"], listed[".."]) == (2, 1, 1, 1)
    assert len(models_of("long" * 100).models) == 1


def test_the_same_model_again_is_one_entry(folder: Path) -> None:
    first = installed(folder, 1.0)
    installed(folder, 2.0)
    assert installed(folder, 1.0, forced="refused") == first
    assert len(ids()) == 2
    assert ids()[0] == first
    assert read_artifact(history_of("M1").path(first)).provenance == {"forced": "refused"}


def test_models_that_become_current_at_once_are_all_kept(folder: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda n: installed(folder, float(n)), range(6)))
    assert sorted(ids()) == sorted(made)
    assert models_of("M1").current in made


def test_a_file_name_that_is_no_text_is_kept(folder: Path) -> None:
    path = folder / os.fsdecode(b"m\xff.safetensors")
    write_artifact(path, make(1.0))
    install_current(path, "M1")
    source = models_of("M1").models[0].kept.source
    assert source is not None
    assert source.endswith("m\\udcff.safetensors")


def test_folders_that_cannot_be_read_are_reported_in_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(folder, 1.0)

    def refuse(_path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(RtdecodeError, match=r"share/rtdecode: cannot be used \(Permission denied\)"):
        every_stream()


def test_a_history_that_cannot_be_written_leaves_the_current_model(folder: Path) -> None:
    first = installed(folder, 1.0)
    (data_dir() / "history").rename(folder / "away")
    (data_dir() / "history").write_text("a file in the way")
    with pytest.raises(RtdecodeError, match=r"history/M1: cannot be used \(Not a directory\)"):
        installed(folder, 2.0)
    assert read_artifact(current_model("M1")).model_id == first
    assert ids() == [first]


def test_a_current_model_that_cannot_be_read_says_how_to_go_back(folder: Path) -> None:
    installed(folder, 1.0)
    current_model("M1").write_bytes(b"torn")
    with pytest.raises(RtdecodeError) as raised, advice_to_go_back(current_model("M1"), "M1"):
        read_artifact(current_model("M1"))
    assert "rtdecode models use M1 ID" in str(raised.value)
    with pytest.raises(RtdecodeError) as raised, advice_to_go_back(folder / "other", "M1"):
        read_artifact(current_model("M1"))
    assert "models use" not in str(raised.value)
