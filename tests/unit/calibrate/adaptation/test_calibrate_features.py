"""`calibrate` and `pretrain` with models that read features beside the counts, or alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from featured import featured
from simulated_days import simulated_day

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.adaptation.calibrate import calibrate_session as calibrate_as_set
from rtdecode.calibrate.adaptation.finetune_settings import FINETUNING
from rtdecode.calibrate.decoding import decoded
from rtdecode.calibrate.fitting.pretrain import PretrainSettings, pretrain_sessions
from rtdecode.calibrate.report.changes import changes_since_base
from rtdecode.calibrate.training.settings import MANY_DAYS_TRAINING, Sizes
from rtdecode.decode.inputs import session_inputs
from rtdecode.decode.load import load_decoder
from rtdecode.decode.offline import decode_session
from rtdecode.errors import RtdecodeError
from rtdecode.models.ensemble.load import networks_of
from rtdecode.session.layout import Features, Session
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session

WIDTH_S, N_CHANNELS = 0.05, 12
SETTINGS = PretrainSettings(
    bin_width_s=WIDTH_S,
    steps=40,
    batch=4,
    training=replace(MANY_DAYS_TRAINING, norm_batches=4),
    sizes=Sizes(members=1, widths=(16, 16), dec_widths=(16,), feature_dropout=0.1),
)
calibrate_session = partial(calibrate_as_set, finetune=replace(FINETUNING, steps=20))


def features_of(session: Session) -> Features:
    assert session.features is not None
    return session.features


def elsewhere(session: Session) -> Session:
    """The session with features in other units and another order, and one that no model knows."""
    recorded = features_of(session)
    values = np.concatenate((50.0 * recorded.values[:, ::-1] + 7.0, recorded.values[:, :1]), axis=1)
    changed = replace(
        recorded,
        values=values.astype("f4"),
        names=(*recorded.names[::-1], "extra"),
        kinds=("power",) * values.shape[1],
        units=("uV",) * values.shape[1],
    )
    return replace(session, features=changed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days to learn from, and a third with features in other units; as features, and mixed."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("days")
    for seed, rate_hz in enumerate((20.0, 25.0, 40.0)):
        simulated_day(folder / f"day{seed}.h5", N_CHANNELS, seed, 100.0, mean_rate_hz=rate_hz)
        parts = featured(read_session(folder / f"day{seed}.h5"), WIDTH_S)
        for name in ("features", "mixed", "fewer"):
            part = elsewhere(parts[name]) if seed == 2 and name != "fewer" else parts[name]
            write_session(folder / f"{name}{seed}.h5", part)
    return folder


@pytest.fixture(scope="module")
def base_of(folder: Path) -> Callable[[str], ModelArtifact]:
    """The model of the first two days, by their name and the kind."""
    made = {
        (name, kind): pretrain_sessions(
            [folder / f"{name}{i}.h5" for i in range(2)], replace(SETTINGS, kind=kind)
        ).artifact
        for name, kind in (("mixed", "alignnet"), ("features", "gru"))
    }
    return lambda name: next(model for (of, _), model in made.items() if of == name)


@pytest.mark.parametrize(
    ("name", "rung"),
    [
        ("mixed", "unsup"),
        ("mixed", "readout"),
        ("mixed", "readin"),
        ("mixed", "full"),
        ("features", "unsup"),
        ("features", "readout"),
        ("features", "full"),
    ],
)
def test_every_rung_reads_features_by_name_on_their_scale_of_today(
    folder: Path, base_of: Callable[[str], ModelArtifact], name: str, rung: str
) -> None:
    base, session = base_of(name), read_session(folder / f"{name}2.h5")
    result = calibrate_session(session, base, rung=rung)
    model, verdict = result.artifact, result.verdict
    assert model is not None
    assert verdict is not None
    assert verdict.new.mean() > verdict.incumbent.mean()
    names = [feature.name for feature in base.features]
    assert [feature.name for feature in model.features] == names
    recorded = features_of(session)
    seen = recorded.values[: result.session.end, [recorded.names.index(each) for each in names]]
    np.testing.assert_allclose([each.mean for each in model.features], seen.mean(axis=0), rtol=0.01)
    np.testing.assert_allclose([each.sd for each in model.features], seen.std(axis=0), rtol=0.01)
    assert {each.units for each in model.features} == {"uV"}
    assert len(model.channel_mask) == base.n_channels == session.n_channels
    # What was judged is what decodes, and it can be calibrated again.
    live = decode_session(session, model, load_decoder(model))
    np.testing.assert_array_equal(live.values[result.session.test], result.decoded)
    np.testing.assert_array_equal(live.values, decoded(model, session_inputs(session, model)))
    (net,) = networks_of(model)
    assert net.read_in.names == [f"day{i}" for i in range(3)]
    assert all(text for _, text in changes_since_base(result, base))


def test_the_filter_of_the_same_day_reads_the_features_too(
    folder: Path, base_of: Callable[[str], ModelArtifact]
) -> None:
    one = calibrate_session(folder / "mixed2.h5", base_of("mixed"), rung="unsup").verdict
    session = read_session(folder / "mixed2.h5")
    recorded = features_of(session)
    flat = replace(recorded, values=np.ones_like(recorded.values))
    write_session(folder / "flat.h5", replace(session, features=flat, path=None))
    result = calibrate_session(folder / "flat.h5", base_of("mixed"), rung="unsup")
    assert one is not None
    assert result.verdict is not None
    assert result.verdict.wiener.mean() < one.wiener.mean() - 0.02
    assert result.artifact is not None
    assert {feature.sd for feature in result.artifact.features} == {0.0}


def test_without_labels_features_are_counted_like_channels(
    folder: Path, tmp_path: Path, base_of: Callable[[str], ModelArtifact]
) -> None:
    silent = replace(read_session(folder / "mixed2.h5"), behavior=None, path=None)
    write_session(tmp_path / "silent.h5", silent)
    result = calibrate_session(tmp_path / "silent.h5", base_of("mixed"))
    assert not result.judged
    assert "6 of the base's 6 channels fire today, 6 of the base's 6 features vary today" in result.reason


def test_a_session_without_the_features_is_refused(
    folder: Path, base_of: Callable[[str], ModelArtifact]
) -> None:
    with pytest.raises(RtdecodeError, match=r"lacks 6 of the 6 features of the model, .* Fix: name a model"):
        calibrate_session(folder / "fewer2.h5", base_of("mixed"))


def test_a_model_in_use_whose_features_are_missing_is_not_compared(
    folder: Path, base_of: Callable[[str], ModelArtifact]
) -> None:
    base = pretrain_sessions([folder / f"fewer{i}.h5" for i in range(2)], replace(SETTINGS, steps=5)).artifact
    result = calibrate_session(folder / "fewer2.h5", base, rung="unsup", incumbent=base_of("mixed"))
    assert result.verdict is not None
    assert result.verdict.incumbent is None
    assert any("has other bins, features or outputs: not compared" in note for note in result.notes)


def test_days_of_other_features_are_not_pretrained_together(folder: Path) -> None:
    days = [folder / "mixed0.h5", folder / "mixed2.h5"]
    with pytest.raises(RtdecodeError, match="have 6 and 7 features, of which they do not share extra"):
        pretrain_sessions(days, SETTINGS)
    chosen = replace(SETTINGS, steps=2, features=("e2", "e4"))
    assert [each.name for each in pretrain_sessions(days, chosen).artifact.features] == ["e2", "e4"]


def test_a_validation_day_is_decoded_from_its_features_and_a_simulating_model_reads_none(
    folder: Path,
) -> None:
    days = [folder / f"mixed{i}.h5" for i in (0, 1)]
    session = replace(read_session(folder / "mixed0.h5"), path=None)
    write_session(folder / "third.h5", replace(session, attrs=session.attrs | {"session_id": "third"}))
    few = replace(SETTINGS, steps=5)
    result = pretrain_sessions([*days, folder / "third.h5"], replace(few, validation_days=1))
    assert np.isfinite(result.validation_r2).all()
    simulating = pretrain_sessions(days, replace(few, direction="simulate"))
    assert (simulating.artifact.features, simulating.artifact.n_inputs) == ((), N_CHANNELS // 2)
    assert any("the 6 features are not read" in note for note in simulating.notes)
