"""Pooling, upsampling, convolution and the read-in, against plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from rtdecode.errors import RtdecodeError
from rtdecode.models.nn.layers import ConvUnit, Pointwise, Rise, UnitSettings, hold, pool
from rtdecode.models.nn.lif import LIF
from rtdecode.models.nn.read_in import ReadIn

torch.set_num_threads(1)

LENGTHS = st.integers(0, 13)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@given(n_frames=LENGTHS, seed=st.integers(0, 999))
@settings(deadline=None, max_examples=30)
def test_pooling_is_the_maximum_of_each_pair_of_frames(n_frames: int, seed: int) -> None:
    x = random(2, 3, n_frames, seed=seed).numpy()
    expected = np.zeros((2, 3, n_frames // 2), np.float32)
    for j in range(n_frames // 2):
        for n in range(2):
            for c in range(3):
                expected[n, c, j] = max(x[n, c, 2 * j], x[n, c, 2 * j + 1])
    np.testing.assert_array_equal(pool(torch.from_numpy(x)).numpy(), expected)


@given(n_frames=LENGTHS, n_rows=st.integers(1, 5))
@settings(deadline=None, max_examples=30)
def test_planar_pooling_is_the_maximum_of_each_square(n_frames: int, n_rows: int) -> None:
    x = random(2, 3, n_rows, n_frames).numpy()
    expected = np.zeros((2, 3, n_rows // 2, n_frames // 2), np.float32)
    for i in range(n_rows // 2):
        for j in range(n_frames // 2):
            expected[:, :, i, j] = x[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max(axis=(2, 3))
    np.testing.assert_array_equal(pool(torch.from_numpy(x), planar=True).numpy(), expected)


def test_pooled_spikes_are_1_where_either_fired() -> None:
    spikes = torch.tensor([[0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0]], requires_grad=True)
    pooled = pool(spikes)
    assert pooled.tolist() == [[0.0, 1.0, 1.0, 1.0]]
    pooled.sum().backward()
    assert spikes.grad.tolist() == [[0.5, 0.5, 0.0, 1.0, 1.0, 0.0, 0.5, 0.5, 0.0]]


@given(n_frames=LENGTHS)
@settings(deadline=None, max_examples=20)
def test_a_fine_frame_holds_the_last_complete_coarse_one(n_frames: int) -> None:
    x = random(2, 3, n_frames // 2).numpy()
    expected = np.zeros((2, 3, n_frames), np.float32)
    for k in range(n_frames):
        coarse = (k + 1) // 2 - 1
        if coarse >= 0:
            assert 2 * coarse + 1 <= k, "depends on later frames"
            expected[:, :, k] = x[:, :, coarse]
    np.testing.assert_array_equal(hold(torch.from_numpy(x), n_frames).numpy(), expected)


def convolved(x: NDArray[Any], weight: NDArray[Any], before: int) -> NDArray[Any]:
    """Σ weight[o, i, j] · x[n, i, t + j − before], zeros outside."""
    n_frames = x.shape[2]
    y = np.zeros((len(x), len(weight), n_frames))
    for t in range(n_frames):
        for j in range(3):
            if 0 <= t + j - before < n_frames:
                y[:, :, t] += x[:, :, t + j - before] @ weight[:, :, j].T
    return y


@pytest.mark.parametrize(("causal", "before"), [(True, 2), (False, 1)])
@pytest.mark.parametrize("n_frames", [1, 2, 3, 8])
def test_a_convolution_reads_three_frames(causal: bool, before: int, n_frames: int) -> None:
    unit = ConvUnit(4, 5, UnitSettings(spiking=False, causal=causal)).eval()
    x = random(2, 4, n_frames)
    expected = convolved(x.numpy(), unit.conv.weight.detach().numpy(), before)
    gain = 1 / np.sqrt(1 + unit.norm.eps)
    np.testing.assert_allclose(unit(x).detach().numpy(), np.maximum(gain * expected, 0), atol=1e-5)


def test_a_spiking_unit_fires_in_training_and_after() -> None:
    unit = ConvUnit(4, 5, UnitSettings(spiking=True))
    for mode in (True, False):
        spikes = unit.train(mode)(3 * random(6, 4, 40))
        assert set(spikes.unique().tolist()) == {0.0, 1.0}
    assert isinstance(unit.neuron, LIF)


@pytest.mark.parametrize("planar", [False, True])
def test_no_input_frames_give_no_output_frames(planar: bool) -> None:
    shape = (2, 4, 3, 0) if planar else (2, 4, 0)
    unit = ConvUnit(4, 5, UnitSettings(spiking=True, planar=planar, causal=not planar))
    assert unit(torch.zeros(shape)).shape == (2, 5, *shape[2:])
    assert Pointwise(4, 5)(torch.zeros(shape)).shape == (2, 5, *shape[2:])


def test_pointwise_is_a_convolution_of_one_frame() -> None:
    layer = Pointwise(4, 5)
    x, plane = random(2, 4, 9), random(2, 4, 3, 9)
    expected = F.conv1d(x, layer.weight[..., None], layer.bias)
    torch.testing.assert_close(layer(x), expected, atol=1e-6, rtol=1e-5)
    expected = F.conv2d(plane, layer.weight[..., None, None], layer.bias)
    torch.testing.assert_close(layer(plane), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("n_frames", [0, 1, 2, 7, 8])
def test_upsampling_doubles_the_frames(n_frames: int) -> None:
    rise = Rise(3)
    coarse, fine = random(2, 3, n_frames // 2), torch.zeros(2, 9, n_frames)
    risen = rise(coarse, fine).detach().numpy()
    assert risen.shape == (2, 3, n_frames)
    weight, bias = rise.conv.weight.detach().numpy(), rise.conv.bias
    for k in range(n_frames // 2 * 2):
        expected = coarse[:, :, k // 2].numpy() @ weight[:, :, k % 2] + bias.detach().numpy()
        np.testing.assert_allclose(risen[:, :, k], expected, atol=1e-6)
    assert (risen[:, :, n_frames // 2 * 2 :] == 0).all()


def test_planar_upsampling_doubles_the_channels_too() -> None:
    assert Rise(3, planar=True)(random(2, 3, 2, 4), torch.zeros(2, 9, 5, 9)).shape == (2, 3, 5, 9)


def read_in(*names: str, **changes: Any) -> ReadIn:
    reader = ReadIn(3, count_max=5, **changes)
    for i, name in enumerate(names):
        reader.add(name, mean=np.array([1.0, 2.0, 3.0]) + i, sd=[0.5, 1.0, 2.0])
    return reader


def test_a_new_session_is_z_scored_after_clipping() -> None:
    reader = read_in("monday")
    counts = torch.tensor([[[0.0, 1.0, 9.0], [2.0, 5.0, 6.0], [3.0, 0.0, 1.0]]])
    mean, sd = np.array([[1.0], [2.0], [3.0]]), np.array([[0.5], [1.0], [2.0]])
    expected = (np.minimum(counts.numpy(), 5) - mean) / sd
    np.testing.assert_allclose(reader(counts).detach().numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(reader.sd("monday", 1).numpy(), sd[None], rtol=1e-6)


def test_constant_and_masked_channels_are_zero() -> None:
    reader = ReadIn(3, count_max=5)
    reader.add("monday", mean=[0.0, 1.0, 1.0], sd=[0.0, 1.0, 1.0], good=[True, True, False])
    z = reader(torch.full((1, 3, 4), 3.0))
    assert z[0, :, 0].tolist() == [0.0, 2.0, 0.0]
    assert reader.sd("monday", 1).flatten().tolist() == [0.0, 1.0, 0.0]
    z.sum().backward()
    scale = reader.of("monday").scale.grad
    assert scale.tolist() == [0.0, 12.0, 0.0]


def test_windows_of_several_sessions_in_one_batch() -> None:
    reader = read_in("monday", "tuesday")
    counts = torch.full((3, 3, 2), 2.0)
    mixed = reader(counts, ["tuesday", "monday", "tuesday"])
    assert torch.equal(mixed[0], reader(counts, "tuesday")[0])
    assert torch.equal(mixed[1], reader(counts, "monday")[0])
    assert not torch.equal(mixed[0], mixed[1])
    mixed[1].sum().backward()
    grads = [reader.of(name).offset.grad for name in ("monday", "tuesday")]
    assert (grads[0] == 2).all()
    assert grads[1] is None or not grads[1].any()


def test_dropout_is_for_training() -> None:
    reader = read_in("monday", dropout=0.5, channel_dropout=0.5)
    counts = torch.full((64, 3, 50), 4.0)
    torch.manual_seed(0)
    z = reader.train()(counts)
    whole = (z == 0).all(dim=2).float().mean()
    single = (z == 0)[~(z == 0).all(dim=2)].float().mean()
    assert 0.35 < whole < 0.65
    assert 0.4 < single < 0.6
    still = reader.eval()(counts)
    assert torch.equal(still, reader(counts))
    assert (still != 0).all()


def test_unknown_and_repeated_sessions_are_refused() -> None:
    reader = read_in("monday", "tuesday")
    counts = torch.zeros(2, 3, 4)
    with pytest.raises(RtdecodeError, match="the network has no session 'friday', only monday, tuesday"):
        reader(counts, "friday")
    with pytest.raises(RtdecodeError, match="session must be named"):
        reader(counts)
    with pytest.raises(RtdecodeError, match="1 session names do not fit 2 windows"):
        reader(counts, ["monday"])
    with pytest.raises(RtdecodeError, match="has a session 'monday' already"):
        reader.add("monday", np.ones(3), np.ones(3))
    with pytest.raises(RtdecodeError, match="none yet"):
        ReadIn(3, 5)(counts)


@pytest.mark.parametrize(
    ("mean", "sd", "good", "message"),
    [
        (np.ones(2), np.ones(3), None, "statistics of 2 channels do not fit a network of 3"),
        (np.ones(3), np.ones(3), np.ones(4), "statistics of 3"),
        (np.ones(3), -np.ones(3), None, "SD below 0"),
        (np.full(3, np.nan), np.ones(3), None, "NaN or infinity"),
    ],
)
def test_statistics_that_do_not_fit_are_refused(mean: Any, sd: Any, good: Any, message: str) -> None:
    with pytest.raises(RtdecodeError, match=message):
        ReadIn(3, 5).add("monday", mean, sd, good)


def test_counts_of_another_array_are_refused() -> None:
    for shape in ((2, 4, 5), (3, 5)):
        with pytest.raises(RtdecodeError, match="not \\[N, 3, T\\]"):
            read_in("monday")(torch.zeros(shape))


@pytest.mark.parametrize("changes", [{"dropout": 1.0}, {"channel_dropout": -0.1}])
def test_dropout_is_a_probability(changes: dict[str, float]) -> None:
    with pytest.raises(RtdecodeError, match="not a probability"):
        ReadIn(3, 5, **changes)


@pytest.mark.parametrize(("n_channels", "count_max"), [(0, 5), (3, 0), (3, 256)])
def test_sizes_out_of_range_are_refused(n_channels: int, count_max: int) -> None:
    with pytest.raises(RtdecodeError, match="channels and counts up to"):
        ReadIn(n_channels, count_max)


def test_weights_of_other_sessions_are_refused() -> None:
    monday, tuesday = read_in("monday"), read_in("tuesday")
    with pytest.raises(RtdecodeError, match=r"sessions \['monday'\] do not fit a network of \['tuesday'\]"):
        tuesday.load_state_dict(monday.state_dict())
    with pytest.raises(RtdecodeError, match="sessions"):
        read_in("monday", "tuesday").load_state_dict(monday.state_dict())
    other = read_in("monday")
    with torch.no_grad():
        monday.of("monday").scale += 1
    other.load_state_dict(monday.state_dict())
    assert torch.equal(other.of("monday").scale, monday.of("monday").scale)
