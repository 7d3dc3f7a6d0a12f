"""AlignNet: causality, windows of any length, and training of all its parts."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import COUNT_MAX, N_CHANNELS, N_OUTPUTS, make_alignnet, make_counts, windows
from torch import Tensor, nn

from rtdecode.calibrate.training.losses import info_nce, mse
from rtdecode.errors import RtdecodeError
from rtdecode.models.networks.alignnet import AlignNet, AlignNetSettings

torch.set_num_threads(1)

WIDE: dict[str, Any] = {"widths": (32, 32, 32), "dec_widths": (16, 16), "latent": 16}
PLANAR: dict[str, Any] = {"causal": False, "planar": True}
VARIANTS: list[dict[str, Any]] = [{}, {"causal": False}, PLANAR]


def behavior(n_windows: int, n_frames: int, seed: int = 0) -> Tensor:
    return torch.randn(n_windows, N_OUTPUTS, n_frames, generator=torch.Generator().manual_seed(seed))


def counts(n_windows: int, n_frames: int, seed: int = 0) -> Tensor:
    return torch.cat([windows(make_counts(n_frames, seed + i)) for i in range(n_windows)])


@given(
    seed=st.integers(0, 10_000),
    n_levels=st.integers(1, 4),
    n_frames=st.integers(2, 40),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_the_causal_output_does_not_change_when_a_later_input_does(
    seed: int, n_levels: int, n_frames: int, data: Any
) -> None:
    bin_ = data.draw(st.integers(0, n_frames - 1))
    net = make_alignnet(seed, widths=[6] * n_levels, dec_widths=[5] * (n_levels - 1))
    spikes, motion = counts(2, n_frames, seed), behavior(2, n_frames, seed)
    other_spikes, other_motion = spikes.clone(), motion.clone()
    other_spikes[..., bin_ + 1 :] = counts(2, n_frames, seed + 5)[..., bin_ + 1 :]
    other_motion[..., bin_ + 1 :] += 3
    with torch.no_grad():
        for whole, changed in (
            (net.decode(spikes), net.decode(other_spikes)),
            (net.simulate(motion), net.simulate(other_motion)),
            (net(spikes, motion).behavior, net(spikes, other_motion).behavior),
            (net(spikes, motion).spikes, net(other_spikes, motion).spikes),
        ):
            assert torch.equal(whole[..., : bin_ + 1], changed[..., : bin_ + 1])


def test_causal_outputs_depend_on_their_own_bin_and_on_the_past() -> None:
    net = make_alignnet(2, **WIDE)
    whole = counts(1, 40)
    seen = {"own": 0, "past": 0}
    with torch.no_grad():
        decoded = net.decode(whole)
        for bin_ in range(8, 40):
            other, forgotten = whole.clone(), whole.clone()
            other[..., bin_] = COUNT_MAX - other[..., bin_].clamp(max=COUNT_MAX)
            forgotten[..., :bin_] = 0
            seen["own"] += not torch.equal(net.decode(other)[..., bin_], decoded[..., bin_])
            seen["past"] += not torch.equal(net.decode(forgotten)[..., bin_], decoded[..., bin_])
    # A threshold may hide a change now and then.
    assert min(seen.values()) >= 30


@pytest.mark.parametrize("changes", [{"causal": False}, PLANAR])
def test_non_causal_outputs_depend_on_later_inputs(changes: dict[str, Any]) -> None:
    net = make_alignnet(0, **(WIDE | changes))
    spikes, motion = counts(1, 40), behavior(1, 40)
    later_spikes, later_motion = spikes.clone(), motion.clone()
    later_spikes[..., 21:] = COUNT_MAX - later_spikes[..., 21:].clamp(max=COUNT_MAX)
    later_motion[..., 21:] += 3
    with torch.no_grad():
        for whole, changed in (
            (net.decode(spikes), net.decode(later_spikes)),
            (net.simulate(motion), net.simulate(later_motion)),
        ):
            assert not torch.equal(whole[..., 20], changed[..., 20])


@pytest.mark.parametrize("changes", VARIANTS)
@pytest.mark.parametrize("n_frames", [1, 2, 3, 5, 8, 31])
def test_windows_of_any_length(changes: dict[str, Any], n_frames: int) -> None:
    net = make_alignnet(0, **changes)
    spikes, motion = counts(1, n_frames), behavior(1, n_frames)
    passes = net(spikes, motion)
    spike, movement = net.encode_spikes(spikes), net.encode_behavior(motion)
    for found, expected in (
        (passes.decoded, net.decode(spikes)),
        (passes.behavior, net.decode_behavior(movement)),
        (passes.simulated, net.simulate(motion)),
        (passes.spikes, net.decode_spikes(spike)),
        (passes.spike_latent, spike.latent),
        (passes.behavior_latent, movement.latent),
    ):
        assert torch.equal(found, expected)
        assert found.isfinite().all()
    assert passes.decoded.shape == passes.behavior.shape == (1, N_OUTPUTS, n_frames)
    assert passes.simulated.shape == passes.spikes.shape == (1, N_CHANNELS, n_frames)
    assert passes.spike_latent.shape == passes.behavior_latent.shape
    assert passes.spike_latent.shape[-1] == n_frames // 4


@pytest.mark.parametrize("changes", VARIANTS)
def test_a_window_is_decoded_the_same_alone_and_in_a_batch(changes: dict[str, Any]) -> None:
    net = make_alignnet(0, **changes)
    batch = counts(5, 23)
    with torch.no_grad():
        together = net.decode(batch)
        for i in range(5):
            torch.testing.assert_close(net.decode(batch[i : i + 1])[0], together[i], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("changes", VARIANTS)
def test_all_four_paths_train_all_parameters(changes: dict[str, Any]) -> None:
    # In evaluation mode: batch statistics would cancel a shift of all inputs, such as the read-in's offset.
    net = make_alignnet(0, **changes)
    spikes, motion = counts(6, 41), behavior(6, 41)
    passes = net(spikes, motion)
    loss = (
        mse(passes.decoded, motion)
        + mse(passes.behavior, motion)
        + mse(net.in_sd(passes.simulated), net.in_sd(spikes))
        + mse(net.in_sd(passes.spikes), net.in_sd(spikes))
        + 0.1 * info_nce(passes.spike_latent, passes.behavior_latent)
    )
    loss.backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_the_deployed_path_trains_only_its_own_parts() -> None:
    net = make_alignnet(0).train()
    mse(net.decode(counts(6, 41)), behavior(6, 41)).backward()
    trained = {name.split(".")[0] for name, p in net.named_parameters() if p.grad is not None}
    assert trained == {"read_in", "spike_encoder", "behavior_decoder", "behavior_head"}


def test_rates_are_in_the_units_of_the_session() -> None:
    net = make_alignnet(0, sessions=("monday", "tuesday"))
    motion = behavior(2, 30)
    with torch.no_grad():
        monday, mixed = net.simulate(motion, "monday"), net.simulate(motion, ["monday", "tuesday"])
        assert (monday > 0).all()
        assert torch.equal(mixed[0], monday[0])
        ratio = net.read_in.of("tuesday").sd / net.read_in.of("monday").sd
        torch.testing.assert_close(mixed[1], monday[1] * ratio[:, None])
        torch.testing.assert_close(
            net.in_sd(mixed, ["monday", "tuesday"]) * net.read_in.sd(["monday", "tuesday"], 2), mixed
        )


def test_masked_channels_are_neither_read_nor_simulated() -> None:
    net = make_alignnet(0, sessions=())
    good = np.arange(N_CHANNELS) != 2
    net.read_in.add("monday", np.full(N_CHANNELS, 0.5), np.full(N_CHANNELS, 0.9), good)
    spikes = counts(1, 30)
    loud = spikes.clone()
    loud[:, 2] = COUNT_MAX
    with torch.no_grad():
        assert torch.equal(net.decode(spikes), net.decode(loud))
        simulated = net.simulate(behavior(1, 30))
        assert (simulated[:, 2] == 0).all()
        assert (simulated[:, good] > 0).all()
        assert (net.in_sd(loud)[:, 2] == 0).all()


def test_outputs_are_returned_in_their_units() -> None:
    net = make_alignnet(0)
    net.set_output_scale([1.0, 2.0, 3.0], [10.0, 1.0, 0.5])
    units = net.in_units(torch.ones(2, 3, 4))
    assert units.dtype == torch.float32
    assert units[1, :, 2].tolist() == [11.0, 3.0, 3.5]


@pytest.mark.parametrize(
    ("mean", "sd"),
    [([0.0], [1.0]), ([0.0] * 3, [1.0, 0.0, 1.0]), ([0.0, np.nan, 0.0], [1.0] * 3)],
)
def test_an_unusable_scale_is_refused(mean: list[float], sd: list[float]) -> None:
    with pytest.raises(RtdecodeError, match=r"scale of|must be finite"):
        make_alignnet(0).set_output_scale(mean, sd)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"planar": True}, "not causal"),
        ({"widths": ()}, "levels"),
        ({"widths": (4, 0, 4)}, "levels"),
        ({"latent": 0}, "latent of 0"),
        ({"dec_widths": (4,)}, "decoder levels"),
        ({"dec_widths": (4, 0)}, "decoder levels"),
        ({"lift": 0}, "lifted to 0"),
        (PLANAR | {"lift": 5}, "lifted to 5 channels does not fit 7"),
        (PLANAR | {"widths": (4,) * 4, "dec_widths": (4,) * 3}, "cannot be pooled 3 times"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RtdecodeError, match=message):
        AlignNet(AlignNetSettings(N_CHANNELS, N_OUTPUTS, COUNT_MAX, **changes))


def test_inputs_that_do_not_fit_are_refused() -> None:
    net = make_alignnet(0)
    with pytest.raises(RtdecodeError, match="0 outputs"):
        AlignNet(AlignNetSettings(N_CHANNELS, 0, COUNT_MAX))
    with pytest.raises(RtdecodeError, match=r"behaviour has shape \(2, 5, 9\)"):
        net.simulate(torch.zeros(2, 5, 9))
    with pytest.raises(RtdecodeError, match="counts have shape"):
        net.decode(torch.zeros(2, 5, 9))


def test_dropout_in_the_behaviour_decoder_is_for_training() -> None:
    net = make_alignnet(dropout=0.0, channel_dropout=0.0, feature_dropout=0.5)
    spikes = counts(1, 40)
    with torch.no_grad():
        assert torch.equal(net.decode(spikes), net.decode(spikes))
        net.train()
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.eval()
        latent = net.encode_spikes(spikes).latent
        assert torch.equal(latent, net.encode_spikes(spikes).latent)
        assert not torch.equal(net.decode(spikes), net.decode(spikes))
    with pytest.raises(RtdecodeError, match=r"a dropout of 1\.5"):
        make_alignnet(feature_dropout=1.5)


def test_batch_statistics_are_those_of_the_deployed_paths() -> None:
    """Reconstruction uses the same decoders with other inputs, and must not change their statistics."""
    net = make_alignnet(dropout=0.0, channel_dropout=0.0).train()
    other = copy.deepcopy(net)
    spikes, motion = counts(6, 40), behavior(6, 40)
    net(spikes, motion)
    other.decode(spikes)
    other.simulate(motion)
    expected = dict(other.named_buffers())
    compared = 0
    for name, buffer in net.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            assert torch.equal(buffer, expected[name]), name
            compared += 1
    assert compared >= 20
    assert all(norm.momentum == 0.1 for norm in net.modules() if isinstance(norm, nn.BatchNorm1d))
