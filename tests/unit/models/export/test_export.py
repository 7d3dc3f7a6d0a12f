"""Exported models decode like the network, hold nothing of its training, and are exact before thresholds."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from decoding import run_all
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import COUNT_MAX, N_CHANNELS, OUTPUTS, exported, make_alignnet, make_counts, make_gru, windows
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact, read_artifact, write_artifact
from rtdecode.decode.halfwords import as_halfwords
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.models.engine.load import load_torch_decoder
from rtdecode.models.export.export import export, fold
from rtdecode.models.export.fixed_point import fixed_point
from rtdecode.models.networks.alignnet import AlignNet, AlignNetSettings
from rtdecode.models.networks.gru import GRUNet
from rtdecode.models.nn.network import Network
from rtdecode.models.train_state import network_description

torch.set_num_threads(1)

SD = np.array([output.sd for output in OUTPUTS], np.float32)
SIZES: list[dict[str, Any]] = [
    {},
    {"widths": (8,), "dec_widths": ()},
    {"widths": (5, 9), "dec_widths": (4,)},
    {"widths": (12, 6, 5, 4), "dec_widths": (3, 4, 5), "latent": 7},
]


def unrounded(net: Network, session: str = "monday") -> ModelArtifact:
    tensors = {name: tensor.astype("f4") for name, tensor in fold(net, session).items()}
    return replace(exported(net, session), run=tensors, fractional_bits=None)


def in_units(net: Network, counts: NDArray[np.uint8], session: str = "monday") -> NDArray[np.float32]:
    """Outputs of the network itself for a recording."""
    with torch.no_grad():
        return np.asarray(net.in_units(net.decode(windows(counts), session))[0].T.numpy())


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("n_bins", [1, 3, 300])
def test_folding_changes_nothing(sizes: dict[str, Any], n_bins: int) -> None:
    net, counts = make_alignnet(5, **sizes), make_counts(n_bins)
    difference = run_all(load_torch_decoder(unrounded(net)), counts) - in_units(net, counts)
    assert np.abs(difference / SD).max() < 1e-5


def test_folding_a_gru_changes_nothing() -> None:
    net, counts = make_gru(5), make_counts(300)
    for decoder in (load_torch_decoder(exported(net)), load_decoder(exported(net))):
        assert np.abs((run_all(decoder, counts) - in_units(net, counts)) / SD).max() < 1e-5


def test_export_changes_neither_the_network_nor_its_mode() -> None:
    net = make_alignnet(5, dropout=0.4, feature_dropout=0.4)
    in_evaluation = exported(net)
    net.train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assert exported(net).model_id == in_evaluation.model_id
    assert net.training
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_names_shapes_and_types_of_the_tensors() -> None:
    artifact = exported(make_alignnet(5))
    expected = {
        "enc0.0.weight": (7, 3, 6),
        "enc0.1.weight": (6, 3, 6),
        "enc1.0.weight": (6, 3, 5),
        "enc1.1.weight": (5, 3, 5),
        "enc2.0.weight": (5, 3, 4),
        "enc2.1.weight": (4, 3, 4),
        "latent.weight": (8, 3),
        "dec1.0.weight": (3, 3, 6),
        "skip1.weight": (10, 6),
        "dec1.1.weight": (6, 3, 6),
        "dec0.0.weight": (6, 3, 5),
        "skip0.weight": (12, 5),
        "dec0.1.weight": (5, 3, 5),
        "leaky.weight": (5, 4),
        "hidden.weight": (5 + 4, 6),
        "head.weight": (5 + 4 + 6, 3),
    }
    # Nothing else: no batch normalisation, no dropout, no read-in.
    biases = {
        name.replace("weight", "bias"): shape[-1:]
        for name, shape in expected.items()
        if not name.startswith("skip")
    }
    assert {name: tensor.shape for name, tensor in artifact.run.items()} == expected | biases | {
        "grid": (6,),
        "leaky.decay": (4,),
    }
    assert {str(tensor.dtype) for name, tensor in artifact.run.items() if name != "grid"} == {"float32"}
    assert artifact.run["grid"].dtype == np.int32
    assert artifact.run["grid"].tolist() == [12] * 6
    assert (artifact.kind, artifact.causal, artifact.widths) == ("alignnet", True, (6, 5, 4))
    assert (artifact.fractional_bits, artifact.count_max, artifact.normaliser) == (12, COUNT_MAX, None)
    assert artifact.provenance["export"] == {"session": "monday", "notes": []}

    gru = exported(make_gru(5))
    assert {name: tensor.shape for name, tensor in gru.run.items()} == {
        "gru.weight_ih": (7, 27),
        "gru.weight_hh": (9, 27),
        "gru.bias_ih": (27,),
        "gru.bias_hh": (27,),
        "head.weight": (9, 3),
        "head.bias": (3,),
    }
    assert gru.fractional_bits is None


def test_lag_0_comes_first() -> None:
    net = make_alignnet(5)
    with torch.no_grad():
        unit = net.spike_encoder.stages[0][0]
        unit.conv.weight.zero_()
        unit.conv.weight[1, 4, -1] = 1.0
    weight = fold(net, "monday")["enc0.0.weight"]
    assert np.argwhere(weight).tolist() == [[4, 0, 1]]


@pytest.mark.parametrize("sizes", SIZES)
def test_weights_before_a_threshold_are_fixed_point(sizes: dict[str, Any]) -> None:
    net = make_alignnet(6, **sizes)
    artifact, plain = exported(net), fold(net, "monday")
    for name, tensor in artifact.run.items():
        if name.startswith("enc"):
            steps = tensor.astype("f8") * 2**12
            assert (steps == np.rint(steps)).all()
            assert np.abs(tensor - plain[name]).max() <= 2**-13
        elif name.endswith(".weight") and name != "head.weight":
            assert as_halfwords(tensor) is not None
            assert np.abs(tensor - plain[name]).max() <= 2**-15 * np.abs(plain[name]).max()
        elif name != "grid":
            np.testing.assert_array_equal(tensor, plain[name].astype("f4"))


def test_a_layer_of_large_weights_gets_fewer_fractional_bits_and_a_note() -> None:
    net = make_alignnet(6)
    with torch.no_grad():
        net.spike_encoder.stages[1][0].norm.weight *= 3000
    artifact = exported(net)
    bits = artifact.run["grid"].tolist()
    assert bits[2] < 12
    assert bits[:2] + bits[3:] == [12] * 5
    assert artifact.fractional_bits == bits[2]
    assert artifact.provenance["export"]["notes"] == [
        f"enc1.0 has {bits[2]} fractional bits instead of 12: its weights are large"
    ]
    weight, bias = (artifact.run[f"enc1.0.{part}"].astype("f8") for part in ("weight", "bias"))
    for tensor in (weight, bias):
        assert (tensor * 2 ** bits[2] == np.rint(tensor * 2 ** bits[2])).all()
    largest_sum = (np.abs(weight).sum(axis=(0, 1)) + np.abs(bias)).max()
    assert largest_sum < 2 ** (24 - bits[2])
    assert as_halfwords(artifact.run["enc1.0.weight"]) is not None
    finer = 2 ** (bits[2] + 1)
    assert largest_sum * finer >= 2**24 or np.abs(weight).max() * finer > 32767 - 1


def test_count_max_limits_the_bits_of_the_first_layer() -> None:
    for count_max, coarser in ((1, False), (64, True)):
        net = AlignNet(AlignNetSettings(N_CHANNELS, len(OUTPUTS), count_max, widths=(4,), dec_widths=()))
        net.read_in.add("monday", np.ones(N_CHANNELS), np.ones(N_CHANNELS))
        net.set_output_scale([output.mean for output in OUTPUTS], [output.sd for output in OUTPUTS])
        with torch.no_grad():
            net.spike_encoder.stages[0][0].conv.weight.fill_(5.0)
        assert (exported(net).run["grid"][0] < 12) == coarser


def test_a_weight_beyond_16_bits_gets_fewer_fractional_bits() -> None:
    for largest, bits in ((7.9, 12), (8.1, 11), (16.1, 10)):
        weight = np.zeros((2, 3, 4))
        weight[1, 0, 2] = -largest
        rounded, _, found = fixed_point(weight, np.zeros(4), largest_input=1)
        assert found == bits
        assert as_halfwords(rounded.astype("f4")) is not None


def test_a_network_that_diverged_is_refused() -> None:
    net = make_alignnet(6)
    with torch.no_grad():
        net.spike_encoder.stages[1][1].norm.weight *= 1e9
    with pytest.raises(RtdecodeError, match=r"enc1\.1: weights are too large"):
        exported(net)


@given(
    weight=st.lists(st.floats(-3000, 3000), min_size=1, max_size=30),
    bias=st.floats(-3000, 3000),
    largest=st.integers(1, 64),
    seed=st.integers(0, 999),
)
@settings(max_examples=60, deadline=None)
def test_fixed_point_sums_are_exact_in_any_order(
    weight: list[float], bias: float, largest: int, seed: int
) -> None:
    w, b, bits = fixed_point(np.reshape(weight, (-1, 1, 1)), np.array([bias]), largest)
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, largest + 1, len(weight))
    terms = [*(w[:, 0, 0] * counts), b[0]]
    exact = float(np.sum(terms))  # multiples of 2^-b below 2^24 of them are exact in float64 at any rate
    for _ in range(5):
        total = np.float32(0)
        for term in rng.permutation(terms):
            total = np.float32(total + np.float32(term))
        assert total == exact
    assert 0 <= bits <= 12


def test_masked_and_silent_channels_have_no_weights() -> None:
    for make in (make_alignnet, make_gru):
        net = make(5, sessions=())
        sd = np.where(np.arange(N_CHANNELS) == 1, 0.0, 0.9)
        good = np.arange(N_CHANNELS) != 4
        net.read_in.add("monday", np.full(N_CHANNELS, 0.5), sd, good)
        artifact = exported(net)
        first = artifact.run["enc0.0.weight" if net.kind == "alignnet" else "gru.weight_ih"]
        silent = (first.reshape(N_CHANNELS, -1) == 0).all(axis=1)
        assert np.flatnonzero(silent).tolist() == [1, 4]
        assert artifact.channel_mask == (True, False, True, True, False, True, True)
        counts = make_counts(100)
        np.testing.assert_allclose(
            run_all(load_torch_decoder(unrounded(net)), counts), in_units(net, counts), atol=1e-5 * SD.max()
        )


def test_each_session_has_its_own_artifact_of_one_network() -> None:
    net, counts = make_alignnet(5, sessions=("monday", "tuesday")), make_counts(100)
    ids = set()
    for session in ("monday", "tuesday"):
        artifact = exported(net, session)
        assert network_description(artifact)["session"] == session
        ids.add(artifact.model_id)
        difference = run_all(load_torch_decoder(unrounded(net, session)), counts) - in_units(
            net, counts, session
        )
        assert np.abs(difference / SD).max() < 1e-5
    assert len(ids) == 2
    with pytest.raises(RtdecodeError, match="no session 'friday'"):
        exported(net, "friday")


@pytest.mark.parametrize(
    ("make", "build"), [(make_alignnet, AlignNet.from_artifact), (make_gru, GRUNet.from_artifact)]
)
def test_the_network_is_loaded_from_the_file(make: Any, build: Any, tmp_path: Path) -> None:
    net = make(5, sessions=("monday", "tuesday 2"), dropout=0.2)
    artifact = exported(net, "tuesday 2")
    write_artifact(tmp_path / "model.safetensors", artifact)
    read = read_artifact(tmp_path / "model.safetensors")
    back = build(read)
    assert read.model_id == artifact.model_id
    assert network_description(read)["session"] == "tuesday 2"
    assert back.settings == net.settings
    assert back.read_in.names == ["monday", "tuesday 2"]
    assert not back.training
    for name, tensor in net.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor), name
        assert back.state_dict()[name].device.type == "cpu"
    assert all(parameter.requires_grad for parameter in back.parameters())
    assert exported(back, "tuesday 2").model_id == artifact.model_id
    back.read_in.add("wednesday", np.ones(N_CHANNELS), np.ones(N_CHANNELS))
    back.train()
    torch.optim.SGD(back.parameters(), lr=0.1)
    back.decode(windows(make_counts(20)), "wednesday").sum().backward()


def test_the_model_id_depends_on_run_only() -> None:
    net = make_alignnet(5)
    artifact = exported(net)
    assert replace(artifact, train={}).model_id == artifact.model_id
    with torch.no_grad():
        net.rate_head.weight += 1  # simulation only
    assert exported(net).model_id == artifact.model_id
    with torch.no_grad():
        net.behavior_head.head.weight += 1
    assert exported(net).model_id != artifact.model_id


def damaged(artifact: ModelArtifact, **train: NDArray[Any] | None) -> ModelArtifact:
    tensors = {name: tensor for name, tensor in (artifact.train | train).items() if tensor is not None}
    return replace(artifact, train=tensors)


def as_bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


def test_a_file_without_training_state_is_refused() -> None:
    artifact = exported(make_alignnet(5))
    with pytest.raises(RtdecodeError, match="no training state"):
        AlignNet.from_artifact(replace(artifact, train={}))
    with pytest.raises(RtdecodeError, match="of kind 'alignnet', not 'gru'"):
        GRUNet.from_artifact(artifact)


def test_a_damaged_network_is_refused_in_one_line() -> None:
    artifact = exported(make_alignnet(5))
    text = artifact.train["settings"].tobytes().decode()
    head = "net.behavior_head.head.weight"
    for broken in (
        {"settings": as_bytes("{")},
        {"settings": as_bytes("[1]")},
        {"settings": as_bytes(text.replace('"latent": 3', '"latent": 4'))},
        {"settings": as_bytes(text.replace('"latent": 3', '"latent": "3"'))},
        {"settings": as_bytes(text.replace('"latent": 3', '"latent": 99999999999'))},
        {"settings": as_bytes(text.replace('"latent"', '"latents"'))},
        {"settings": as_bytes(text.replace('["monday"]', '["tuesday"]'))},
        {"settings": as_bytes(text.replace('["monday"]', "7"))},
        {head: None},
        {head: artifact.train[head][:, :2]},
        {"net.other": np.zeros(2)},
        {"net.read_in._extra_state": as_bytes("no JSON")},
        {"net.read_in._extra_state": np.zeros((2, 2), np.float32)},
    ):
        with pytest.raises(RtdecodeError, match=r"the network in train.\* is damaged") as caught:
            AlignNet.from_artifact(damaged(artifact, **broken))
        assert "\n" not in str(caught.value)


def test_outputs_must_be_those_of_training() -> None:
    net = make_alignnet(5)
    with pytest.raises(RtdecodeError, match="2 outputs do not fit a network of 3"):
        export(net, session="monday", bin_width_s=0.02, outputs=OUTPUTS[:2])
    other = (replace(OUTPUTS[0], sd=1.0), *OUTPUTS[1:])
    with pytest.raises(RtdecodeError, match=r"'x' with mean 12\.5 and SD 30, not 12\.5 and 1"):
        export(net, session="monday", bin_width_s=0.02, outputs=other)


@pytest.fixture(scope="module", params=[make_alignnet, make_gru])
def network_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "model.safetensors"
    write_artifact(path, exported(request.param(5)))
    return path


def test_a_truncated_or_extended_file_is_refused(network_file: Path) -> None:
    content, broken = network_file.read_bytes(), network_file.with_name("broken.safetensors")
    for size in [*range(64), *np.linspace(64, len(content) - 1, 100, dtype=int).tolist()]:
        broken.write_bytes(content[:size])
        with pytest.raises(RtdecodeError) as refused:
            read_artifact(broken)
        assert "\n" not in str(refused.value)
    broken.write_bytes(content + b"\0")
    with pytest.raises(RtdecodeError):
        read_artifact(broken)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_network_is_refused_or_decodes_as_before(network_file: Path, data: st.DataObject) -> None:
    whole, counts = read_artifact(network_file), make_counts(20)
    content = bytearray(network_file.read_bytes())
    # Half of the damage is in the header, which is a small part of the file.
    last = data.draw(st.sampled_from([len(content) - 1, 3000]))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, last))] = data.draw(st.integers(0, 255))
    damaged = network_file.with_name("damaged.safetensors")
    damaged.write_bytes(content)
    try:
        artifact = read_artifact(damaged)
        decoders = load_decoder(artifact), load_decoder(whole)
    except RtdecodeError:
        return
    assert run_all(decoders[0], counts).tobytes() == run_all(decoders[1], counts).tobytes()
    with contextlib.suppress(RtdecodeError):
        (AlignNet if artifact.kind == "alignnet" else GRUNet).from_artifact(artifact)


def test_a_non_causal_network_is_not_exported() -> None:
    with pytest.raises(RtdecodeError, match="non-causal"):
        exported(make_alignnet(5, causal=False))
