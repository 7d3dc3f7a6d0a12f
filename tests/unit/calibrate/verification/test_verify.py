"""`verify` accepts backends that agree, and detects each of them where it does not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from decoding import artifact_of
from networks import N_CHANNELS, OUTPUTS, exported, make_alignnet, make_counts, make_gru
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.verification import backends
from rtdecode.calibrate.verification.verify import Verification, verify_model
from rtdecode.decode import alignnet_tensors
from rtdecode.decode.alignnet import AlignNetDecoder
from rtdecode.decode.gru import GRUDecoder
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.models.export.export import fold

torch.set_num_threads(1)

NETWORK_BACKENDS = {"torch step", "numba run", "numba step", "numba restored", "torch restored"}
F4 = NDArray[np.float32]
U1 = NDArray[np.uint8]


def alignnet(seed: int = 0, **sizes: Any) -> ModelArtifact:
    return exported(make_alignnet(seed, **sizes))


def linear(kind: str) -> ModelArtifact:
    rng = np.random.default_rng(0)
    run: dict[str, NDArray[Any]] = {
        "weight": rng.normal(size=(N_CHANNELS, 6, 3)).astype("f4"),
        "bias": np.ones(3),
    }
    if kind == "kalman":
        run = {
            "transition": np.diag([0.9, 0.5]),
            "offset": np.ones(2),
            "readout": rng.normal(size=(3, 2)),
            "bias": np.zeros(3),
            "observe": rng.normal(size=(N_CHANNELS, 2)).astype("f4"),
            "process_noise": np.eye(2),
            "information": np.diag([0.4, 0.1]),
            "prior": np.eye(2),
        }
    return artifact_of(kind, n_channels=N_CHANNELS, outputs=OUTPUTS, run=run)


def wrong(result: Verification) -> set[str]:
    """The backends whose spikes differ."""
    return {name for name, backend in result.backends.items() if backend.spike_mismatches}


@pytest.mark.parametrize("seed", range(3))
def test_all_backends_of_an_alignnet_agree(seed: int) -> None:
    artifact, counts = alignnet(seed, widths=(12, 10, 8), dec_widths=(6, 7)), make_counts(600, seed)
    result = verify_model(artifact, counts)
    assert result.agrees
    assert (result.spike_mismatches, result.value_mismatches, result.bins) == (0, 0, 600)
    assert 0.0 < result.max_output_diff_sd < 1e-5
    assert result.reference == "torch batch"
    assert result.backends.keys() == NETWORK_BACKENDS
    assert result.saved_at == (151, 302, 453)
    assert 0 < result.step_us["p50"] <= result.step_us["p99"]


def test_layers_work_and_clipped_counts_are_those_of_the_engine() -> None:
    artifact, counts = alignnet(), make_counts(301)
    decoder = AlignNetDecoder(artifact)
    spikes = decoder.run_traced(counts, np.empty((301, 3), np.float32))
    result = verify_model(artifact, counts)
    assert [layer.name for layer in result.layers] == list(spikes)
    for layer in result.layers:
        fired = spikes[layer.name]
        assert (layer.frames, layer.n_units) == fired.shape
        assert layer.spikes == fired.sum()
        assert layer.rate == pytest.approx(fired.mean())
        assert layer.mismatches == 0
    assert result.spikes == sum(fired.sum() for fired in spikes.values()) > 1000
    assert result.effective_acs == decoder.adds / 301
    assert result.dense_macs == decoder.dense_macs
    assert result.clipped == result.clipped_by_reference == decoder.clipped > 0


def test_a_gru_has_no_spikes_and_its_outputs_agree() -> None:
    artifact, counts = exported(make_gru()), make_counts(200)
    result = verify_model(artifact, counts)
    assert result.agrees
    assert (result.layers, result.spikes, result.spike_mismatches) == ((), 0, 0)
    assert result.backends.keys() == NETWORK_BACKENDS
    assert 0.0 < result.max_output_diff_sd < 1e-5
    assert result.dense_macs == GRUDecoder(artifact).dense_macs > result.effective_acs > 0


@pytest.mark.parametrize("kind", ["wiener", "kalman"])
def test_filters_agree_with_plain_numpy_and_need_no_torch(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    result = verify_model(linear(kind), make_counts(200))
    assert result.agrees
    assert (result.reference, result.layers) == ("numpy", ())
    assert result.backends.keys() == {"numba run", "numba step", "numba restored"}
    assert result.max_output_diff_sd < 1e-6
    assert result.clipped > 0
    assert 0 < result.effective_acs < result.dense_macs


@pytest.mark.parametrize("save_at", [(1,), (7,), (8, 11, 37), tuple(range(1, 100, 2))])
def test_a_state_may_be_saved_anywhere(save_at: tuple[int, ...]) -> None:
    artifact, counts = alignnet(), make_counts(100)
    result = verify_model(artifact, counts, save_at=save_at, chunk_bins=23)
    assert result.agrees
    assert result.saved_at == save_at
    assert result.spikes == verify_model(artifact, counts, save_at=(50,)).spikes


def test_one_bin_has_no_state_to_save() -> None:
    result = verify_model(alignnet(), make_counts(1))
    assert result.agrees
    assert result.saved_at == ()
    assert result.backends.keys() == NETWORK_BACKENDS - {"numba restored", "torch restored"}


def test_without_fixed_point_weights_spikes_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """With weights in tenths, sums are often right at the threshold, and the order of their terms decides."""
    net, counts = make_alignnet(0, widths=(32, 32, 32)), make_counts(1500)
    exact = exported(net)
    run = {name: tensor.astype("f4") for name, tensor in fold(net, "monday").items()}
    for name in ("enc0.0.weight", "enc0.0.bias"):
        run[name] = (np.rint(run[name] * 10) / 10).astype("f4")
    unrounded = replace(exact, run=run | {"grid": exact.run["grid"]})
    with pytest.raises(RtdecodeError, match="not a multiple of"):
        verify_model(unrounded, counts)
    monkeypatch.setattr(alignnet_tensors, "_check_fixed_point", lambda artifact: None)
    result = verify_model(unrounded, counts)
    assert not result.agrees
    assert {"numba run", "numba step"} <= wrong(result)
    assert result.spike_mismatches == sum(layer.mismatches for layer in result.layers) > 100
    assert result.layers[0].mismatches > 0
    assert result.max_output_diff_sd > 1e-3
    assert result.value_mismatches == 0
    # The same tenths in fixed point: no sum depends on the order of its terms.
    for name in ("enc0.0.weight", "enc0.0.bias"):
        run[name] = (np.rint(run[name] * 2.0**12) / 2.0**12).astype("f4")
    for name, tensor in exact.run.items():
        if name.startswith("enc") and not name.startswith("enc0.0"):
            run[name] = tensor
    rounded = replace(exact, run=run | {"grid": exact.run["grid"]})
    assert verify_model(rounded, counts).agrees


def patched(monkeypatch: pytest.MonkeyPatch, load: Callable[[ModelArtifact], Any]) -> None:
    monkeypatch.setattr(backends, "load_decoder", load)


def test_another_weight_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = alignnet()
    weight = artifact.run["enc1.0.weight"].copy()
    weight[:, 0] += np.float32(2.0**-4)
    other = replace(artifact, run=artifact.run | {"enc1.0.weight": weight})
    patched(monkeypatch, lambda _: load_decoder(other))
    result = verify_model(artifact, make_counts(300))
    assert not result.agrees
    assert wrong(result) == {"numba run", "numba step", "numba restored"}
    by_layer = {layer.name: layer.mismatches for layer in result.layers}
    assert by_layer["enc0.0"] == by_layer["enc0.1"] == 0
    assert by_layer["enc1.0"] > 0


def test_outputs_that_drift_are_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = alignnet()
    bias = artifact.run["head.bias"] + np.array([0, 0, 1e-4 * OUTPUTS[2].sd], np.float32)
    other = replace(artifact, run=artifact.run | {"head.bias": bias})
    patched(monkeypatch, lambda _: load_decoder(other))
    result = verify_model(artifact, make_counts(100))
    assert not result.agrees
    assert result.spike_mismatches == 0
    assert result.max_output_diff_sd == pytest.approx(1e-4, rel=0.05)
    assert result.backends["torch step"].max_output_diff_sd < 1e-5


class Faulty(AlignNetDecoder):
    """An engine with one fault at a time."""

    fault = ""

    def state(self) -> dict[str, NDArray[Any]]:
        state = super().state()
        if self.fault == "forgets what is pooled":
            state["pooled"][:] = 0
        return state

    def step(self, counts: U1, out: F4) -> None:
        super().step(counts, out)
        if self.fault == "steps in the last bit":
            out[0] = np.nextafter(out[0], np.float32(np.inf))

    def run_traced(self, counts: U1, out: F4) -> dict[str, U1]:
        spikes = super().run_traced(counts, out)
        if self.fault == "loses a frame":
            return {name: frames[1:] if len(frames) > 1 else frames for name, frames in spikes.items()}
        if self.fault == "gives NaN":
            out[-1, 0] = np.nan
        return spikes

    @property
    def clipped(self) -> int:
        return super().clipped + (self.fault == "clips too much")


@pytest.mark.parametrize(
    ("fault", "backends_with_wrong_spikes", "value_mismatches", "apart"),
    [
        ("", set(), 0, "little"),
        ("forgets what is pooled", {"numba restored"}, 1, "much"),
        ("steps in the last bit", set(), 1, "little"),
        ("loses a frame", {"numba run", "numba restored"}, 0, "little"),
        ("gives NaN", set(), 1, "infinitely"),
        ("clips too much", set(), 0, "little"),
    ],
)
def test_a_faulty_engine_is_detected(
    fault: str,
    backends_with_wrong_spikes: set[str],
    value_mismatches: int,
    apart: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Faulty, "fault", fault)
    patched(monkeypatch, Faulty)
    result = verify_model(alignnet(), make_counts(300))
    assert result.agrees == (fault == "")
    assert wrong(result) == backends_with_wrong_spikes
    assert min(result.value_mismatches, 1) == value_mismatches
    assert result.max_output_diff_sd < 1e-5 if apart == "little" else result.max_output_diff_sd > 1e-5
    assert np.isinf(result.max_output_diff_sd) == (apart == "infinitely")


def test_models_and_bins_that_cannot_be_verified_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    artifact, counts = alignnet(), make_counts(20)
    with pytest.raises(RtdecodeError, match="no bins"):
        verify_model(artifact, counts[:0])
    for save_at in ((0,), (20,), (3, 21)):
        with pytest.raises(RtdecodeError, match=r"after \d+ of 20 bins"):
            verify_model(artifact, counts, save_at=save_at)
    with pytest.raises(RtdecodeError, match="non-causal"):
        verify_model(replace(artifact, causal=False), counts)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(RtdecodeError, match=r"rtdecode\[train\]"):
        verify_model(artifact, counts)


def test_progress_reaches_the_end() -> None:
    reported: list[float] = []
    verify_model(alignnet(), make_counts(100), chunk_bins=40, progress=lambda _, done: reported.append(done))
    assert len(reported) > 2
    assert reported == sorted(reported)
    assert reported[-1] == 1.0
