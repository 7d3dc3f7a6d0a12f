"""Models learn from features alone or beside counts, and step them like the reference does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from featured import featured
from simulated_days import simulated_day

from rtdecode.artifact import read_artifact, write_artifact
from rtdecode.calibrate.decoding import decoded
from rtdecode.calibrate.fitting.fit import FitResult, fit_sessions
from rtdecode.calibrate.fitting.training_set import FitSettings
from rtdecode.calibrate.training.settings import ONE_DAY_TRAINING, Sizes
from rtdecode.calibrate.verification.verify import verify_model
from rtdecode.decode.inputs import session_inputs
from rtdecode.decode.load import load_decoder
from rtdecode.decode.offline import decode_session
from rtdecode.errors import RtdecodeError
from rtdecode.session.bins import bin_session
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session

WIDTH_S = 0.05
SMALL = Sizes(members=1, widths=(16, 16), dec_widths=(16,), feature_dropout=0.1)
N_CHANNELS, SECONDS = 12, 150.0


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One simulated minute as counts, as features, and half as each; and with what no other column has."""
    folder = tmp_path_factory.mktemp("features")
    day = read_session(simulated_day(folder / "events.h5", N_CHANNELS, seconds=SECONDS, mean_rate_hz=25.0))
    parts = featured(day, WIDTH_S)
    for name, session in parts.items():
        write_session(folder / f"{name}.h5", session)
    return {name: folder / f"{name}.h5" for name in parts}


def fit(path: Path, kind: str) -> FitResult:
    training = replace(ONE_DAY_TRAINING, steps=30, batch=8)
    return fit_sessions([path], kind, WIDTH_S, settings=FitSettings(sizes=SMALL, training=training))


@pytest.mark.parametrize("kind", ["wiener", "kalman"])
def test_counts_as_features_are_decoded_as_well(days: dict[str, Path], kind: str) -> None:
    scores = {name: float(np.mean(fit(path, kind).r2)) for name, path in days.items()}
    assert scores["features"] == pytest.approx(scores["counts"], abs=0.02)
    assert scores["mixed"] == pytest.approx(scores["counts"], abs=0.02)
    assert scores["fewer"] < scores["mixed"] - 0.02


@pytest.mark.parametrize("kind", ["wiener", "kalman", "gru", "alignnet"])
@pytest.mark.parametrize("name", ["features", "mixed"])
def test_every_kind_is_stepped_to_the_bits_of_its_reference(
    days: dict[str, Path], kind: str, name: str, tmp_path: Path
) -> None:
    result, session = fit(days[name], kind), read_session(days[name])
    write_artifact(tmp_path / "m.safetensors", result.artifact)
    artifact = read_artifact(tmp_path / "m.safetensors")
    assert artifact.features == result.artifact.features
    assert (artifact.n_channels, artifact.n_inputs) == (session.n_channels, N_CHANNELS)
    inputs = session_inputs(session, artifact)
    values = bin_session(session, WIDTH_S).features
    assert values is not None
    verified = verify_model(artifact, inputs, features=values)
    assert verified.agrees, verified
    values[7, 2] += artifact.features[2].sd
    shown = verify_model(artifact, inputs[:50], features=values[:50])
    assert (shown.agrees, shown.code_mismatches) == (False, 1)
    live = decode_session(session, artifact, load_decoder(artifact))
    np.testing.assert_array_equal(live.values, decoded(artifact, inputs))
    # What was recorded of it decodes to the same bits, without the features themselves.
    write_session(tmp_path / "live.h5", replace(session, decoded=live, events=None, features=None, path=None))
    again = decode_session(read_session(tmp_path / "live.h5"), artifact, load_decoder(artifact))
    np.testing.assert_array_equal(again.values, live.values)


def test_a_column_that_does_not_vary_is_not_read_and_unknown_stretches_are_not_learnt(
    days: dict[str, Path], tmp_path: Path
) -> None:
    session = read_session(days["features"])
    assert session.features is not None
    values = session.features.values.copy()
    values[:, 3], values[200:300] = 7.0, np.nan
    values[300:, 5] = np.nan
    path = tmp_path / "damaged.h5"
    write_session(path, replace(session, features=replace(session.features, values=values), path=None))
    result = fit(path, "wiener")
    assert result.artifact.features[3].sd == 0.0
    assert any("1 of 12 features do not vary: e3" in note for note in result.notes)
    assert any("100 of" in note for note in result.notes), result.notes
    assert (result.r2 > 0.05).all()


def test_sessions_of_other_features_are_refused(days: dict[str, Path], tmp_path: Path) -> None:
    session = read_session(days["features"])
    assert session.features is not None
    # In another order they are the same.
    values, names = session.features.values[:, ::-1], session.features.names[::-1]
    swapped = replace(session.features, values=values, names=names)
    write_session(tmp_path / "other.h5", replace(session, features=swapped, path=None))
    pair = [days["features"], tmp_path / "other.h5"]
    one, same = (
        fit_sessions([days["features"], p], "wiener", WIDTH_S)
        for p in (days["features"], tmp_path / "other.h5")
    )
    assert same.artifact.model_id == one.artifact.model_id
    fewer = replace(
        swapped, values=values[:, 1:], names=names[1:], kinds=swapped.kinds[1:], units=swapped.units[1:]
    )
    write_session(tmp_path / "other.h5", replace(session, features=fewer, path=None))
    with pytest.raises(RtdecodeError, match="have 12 and 11 features, of which they do not share e11"):
        fit_sessions(pair, "wiener", WIDTH_S)
    chosen = fit_sessions(pair, "wiener", WIDTH_S, settings=FitSettings(features=("e3", "e1"))).artifact
    assert [feature.name for feature in chosen.features] == ["e3", "e1"]
    with pytest.raises(RtdecodeError, match=r"other.h5: the session lacks 1 of the 1 features"):
        fit_sessions(pair, "wiener", WIDTH_S, settings=FitSettings(features=("e11",)))
    without = fit_sessions([days["mixed"]], "wiener", WIDTH_S, settings=FitSettings(features=())).artifact
    assert without.model_id == fit(days["fewer"], "wiener").artifact.model_id
    model = fit(days["mixed"], "wiener").artifact
    with pytest.raises(RtdecodeError, match="lacks 6 of the 6 features of the model"):
        decode_session(read_session(days["fewer"]), model, load_decoder(model))
