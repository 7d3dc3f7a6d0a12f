"""`rtdecode verify` and `decode --engine torch` on real recordings, as someone at the rig types them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import document_here, printed_here, refusal, rtdecode
from recordings import briefly_trained

from rtdecode.artifact import read_artifact, write_artifact
from rtdecode.calibrate.verification.verify import verify_model
from rtdecode.cli.commands import app
from rtdecode.decode import alignnet_tensors
from rtdecode.decode.inputs import session_inputs
from rtdecode.errors import RtdecodeError
from rtdecode.models.ensemble.join import ensemble_of
from rtdecode.models.export.export import fold
from rtdecode.models.networks.alignnet import AlignNet
from rtdecode.session.layout import Session
from rtdecode.session.read import read_session

DECODE_KEYS = {"bins", "outputs", "r2", "pcc", "seconds", "realtime_factor", "clipped", "model", "engine"}
VERIFY_KEYS = {"bins", "spike_mismatches", "max_output_diff_sd", "step_us"}
VERIFY_KEYS |= {"effective_acs", "dense_macs", "clipped"}
NO_TORCH = "import sys; sys.modules['torch'] = None; from rtdecode.cli import main; main()"


def refused(*arguments: object) -> str:
    """The error of a command in this process."""
    with pytest.raises(RtdecodeError) as error:
        printed_here(*arguments)
    return str(error.value)


@pytest.fixture(scope="session")
def indy_session(indy: Path) -> Session:
    return read_session(indy)


@pytest.fixture(scope="session")
def indy_alignnets(indy_session: Session, tmp_path_factory: pytest.TempPathFactory) -> dict[float, Path]:
    """An AlignNet of two members at 20 ms and one of one at 64 ms, trained for a moment."""
    paths = {}
    for width_s, n_members in ((0.02, 2), (0.064, 1)):
        members = [briefly_trained(indy_session, width_s, n_steps=40, seed=i) for i in range(n_members)]
        paths[width_s] = tmp_path_factory.mktemp("models") / "alignnet.safetensors"
        write_artifact(paths[width_s], ensemble_of(members))
    return paths


@pytest.mark.parametrize("width_s", [0.02, 0.064])
def test_every_spike_of_a_real_session_is_the_same_everywhere(
    indy: Path, indy_alignnets: dict[float, Path], width_s: float
) -> None:
    document = document_here("verify", indy, "--model", indy_alignnets[width_s], "--to", 64)
    assert document.keys() >= VERIFY_KEYS
    assert document["bins"] == round(64 / width_s)
    assert (document["spike_mismatches"], document["value_mismatches"]) == (0, 0)
    assert document["max_output_diff_sd"] < 1e-5
    assert document["spikes"] > 50 * document["bins"] / 4
    assert all(0.05 < layer["rate"] < 0.6 for layer in document["layers"])
    assert document["effective_acs"] < document["dense_macs"]
    assert document["agrees"] is True


@pytest.mark.parametrize("n_channels", [32, 64, 96, 256])
def test_arrays_of_every_size_agree_also_from_states_saved_at_odd_bins(
    indy_session: Session, n_channels: int
) -> None:
    values = np.tile(indy_session.counts.values, (1, 3))[:3000, :n_channels]
    counts = replace(indy_session.counts, values=np.ascontiguousarray(values))
    tiled = replace(indy_session, n_channels=n_channels, counts=counts)
    artifact = briefly_trained(tiled, 0.064, n_steps=5)
    result = verify_model(artifact, session_inputs(tiled, artifact), save_at=(1, 333, 1001, 2998))
    assert result.agrees
    assert result.spikes > 20_000


def test_what_is_read_off_the_screen(indy: Path, indy_alignnets: dict[float, Path]) -> None:
    printed = printed_here("verify", indy, "--model", indy_alignnets[0.064], "--to", 10, "--save-at", 77)
    for part in ("saved and restored 1 time;", "0 mismatches", "enc2.1", "torch restored"):
        assert part in printed


def test_filters_are_verified_without_torch(indy: Path, indy_model: Path, indy_kalman: Path) -> None:
    for model in (indy_model, indy_kalman):
        done = rtdecode("verify", indy, "--model", model, "--to", 60, script=NO_TORCH)
        assert done.returncode == 0, done.stderr
        assert "0 of 0 spikes differ" in done.stdout


def test_a_model_off_its_grid_is_refused_and_said_where(
    indy: Path,
    indy_alignnets: dict[float, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    exact = read_artifact(indy_alignnets[0.064])
    run_tensors = fold(AlignNet.from_artifact(exact), "it")
    # In tenths, sums often lie right at the threshold, and the order of their terms decides.
    coarse = {
        name: np.rint(tensor * 10) / 10 if name.startswith("enc0.0") else tensor
        for name, tensor in run_tensors.items()
    }
    tensors: dict[str, Any] = {name: tensor.astype("f4") for name, tensor in coarse.items()}
    path = tmp_path / "unrounded.safetensors"
    write_artifact(path, replace(exact, run=tensors | {"grid": exact.run["grid"]}))
    assert "not a multiple of" in refused("verify", indy, "--model", path)
    monkeypatch.setattr(alignnet_tensors, "_check_fixed_point", lambda artifact: None)
    with pytest.raises(RtdecodeError) as error:
        app(["verify", str(indy), "--model", str(path), "--to", "32", "--json"], standalone_mode=False)
    line = str(error.value)
    assert "unrounded.safetensors: is decoded differently by the backends" in line
    assert "spike mismatches (" in line
    assert "numba run, numba step, numba restored" in line
    document = json.loads(capsys.readouterr().out)
    assert document["agrees"] is False
    assert document["spike_mismatches"] > 0


def test_decode_gives_the_same_in_torch(indy: Path, indy_alignnets: dict[float, Path]) -> None:
    given = ["decode", indy, "--model", indy_alignnets[0.064], "--engine"]
    numba, torch = (document_here(*given, engine) for engine in ("numba", "torch"))
    assert (numba["engine"], torch["engine"]) == ("numba", "torch")
    assert numba.keys() == torch.keys() >= DECODE_KEYS
    for key in ("bins", "outputs", "clipped", "model", "scored_bins"):
        assert numba[key] == torch[key]
    np.testing.assert_allclose(torch["r2"], numba["r2"], atol=1e-4)


def test_what_torch_does_not_do_is_refused_in_one_line(
    indy: Path, indy_model: Path, indy_alignnets: dict[float, Path]
) -> None:
    alignnet = indy_alignnets[0.064]
    given = ["decode", indy, "--engine", "torch", "--model"]
    assert "torch cannot decode a model of kind 'wiener'" in refused(*given, indy_model)
    assert "rtdecode[train]" in refusal(rtdecode(*given, alignnet, script=NO_TORCH))
    assert "rtdecode[train]" in refusal(rtdecode("verify", indy, "--model", alignnet, script=NO_TORCH))
    assert "no device 'abacus'" in refused("verify", indy, "--model", alignnet, "--device", "abacus")
    too_late = refused("verify", indy, "--model", alignnet, "--to", 1, "--save-at", 99)
    assert "after 99 of 16 bins" in too_late
    assert rtdecode("decode", indy, "--model", alignnet, "--engine", "abacus").returncode == 2
