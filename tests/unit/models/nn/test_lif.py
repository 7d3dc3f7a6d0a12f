"""The kernels give spikingjelly's spikes to the bit, and its gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from spikingjelly.activation_based import neuron, surrogate
from torch import Tensor

from rtdecode.errors import RtdecodeError
from rtdecode.models.nn.lif import LIF, lif, spikingjelly_lif

torch.set_num_threads(1)

SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 40), st.integers(1, 60))
SEEDS = st.integers(0, 2**31)


def currents(shape: tuple[int, ...], seed: int, scale: float = 0.7) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed)) + 0.2


def reference_spikes(current: Tensor) -> Tensor:
    """Of spikingjelly's neuron; its layout is [T, N, C]."""
    node = neuron.LIFNode(
        tau=2.0,
        decay_input=True,
        v_threshold=0.3,
        v_reset=0.0,
        detach_reset=True,
        surrogate_function=surrogate.ATan(),
        step_mode="m",
    )
    return torch.as_tensor(node(current.permute(2, 0, 1).contiguous())).permute(1, 2, 0)


def written_out(current: NDArray[np.float32], v: NDArray[np.float32]) -> tuple[NDArray[Any], ...]:
    """The recurrence in NumPy; every operation rounds to float32. Spikes, potentials, and the last state."""
    spikes, potentials = np.zeros_like(current), np.zeros_like(current)
    for t in range(current.shape[-1]):
        potential = v + (current[..., t] - v) * np.float32(0.5)
        potentials[..., t] = potential
        spikes[..., t] = potential >= np.float32(0.3)
        v = np.where(spikes[..., t] > 0, np.float32(0), potential)
    return spikes, potentials, v


@given(shape=SHAPES, seed=SEEDS, scale=st.sampled_from([0.01, 0.7, 30.0]))
@settings(max_examples=40, deadline=None)
def test_spikes_and_gradients_are_spikingjellys(shape: tuple[int, int, int], seed: int, scale: float) -> None:
    ours = currents(shape, seed, scale).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    grad = currents(shape, seed + 1)
    spikes, expected = LIF()(ours), reference_spikes(theirs)
    assert torch.equal(spikes, expected)
    spikes.backward(grad)
    expected.backward(grad)
    largest = theirs.grad.abs().max()
    assert (ours.grad - theirs.grad).abs().max() <= 1e-6 * largest


@given(shape=SHAPES, seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_neurons_follow_the_recurrence_written_out(shape: tuple[int, int, int], seed: int) -> None:
    current, v = currents(shape, seed), 0.2 * currents(shape[:2], seed + 1)
    spikes, potential, last = lif(current, v)
    expected, expected_potential, expected_last = written_out(current.numpy(), v.numpy())
    np.testing.assert_array_equal(spikes.numpy(), expected)
    np.testing.assert_array_equal(potential.numpy(), expected_potential)
    np.testing.assert_array_equal(last.numpy(), expected_last)


@given(shape=SHAPES, seed=SEEDS, data=st.data())
@settings(max_examples=25, deadline=None)
def test_sequences_continue_from_each_other(shape: tuple[int, int, int], seed: int, data: Any) -> None:
    cut = data.draw(st.integers(0, shape[2]))
    current, grad, last_grad = currents(shape, seed), currents(shape, seed + 1), currents(shape[:2], seed + 2)
    potential_grad = currents(shape, seed + 3)
    whole, parts = current.clone().requires_grad_(), current.clone().requires_grad_()
    spikes, potential, last = lif(whole)
    head, head_potential, between = lif(parts[..., :cut])
    tail, tail_potential, end = lif(parts[..., cut:], between)
    both = torch.cat([head, tail], dim=-1)
    both_potential = torch.cat([head_potential, tail_potential], dim=-1)
    assert torch.equal(spikes, both)
    assert torch.equal(potential, both_potential)
    assert torch.equal(last, end)
    torch.autograd.backward([spikes, potential, last], [grad, potential_grad, last_grad])
    torch.autograd.backward([both, both_potential, end], [grad, potential_grad, last_grad])
    torch.testing.assert_close(parts.grad, whole.grad, rtol=0, atol=0)


@given(shape=SHAPES, seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_gradients_of_potentials_are_spikingjellys(shape: tuple[int, int, int], seed: int) -> None:
    grads = [currents(shape, seed + 1), currents(shape, seed + 4), currents(shape[:2], seed + 2)]
    found = []
    for advance in (lif, spikingjelly_lif):
        current, v = currents(shape, seed).requires_grad_(), currents(shape[:2], seed + 3).requires_grad_()
        fired = advance(current, v)
        torch.autograd.backward(list(fired), grads)
        found.append((*fired, current.grad, v.grad))
    for ours, theirs in zip(*found, strict=True):
        assert (ours - theirs).detach().abs().max() <= 1e-5 * theirs.detach().abs().max()
    for ours, theirs in zip(found[0][:3], found[1][:3], strict=True):
        assert torch.equal(ours, theirs)


def test_unused_results_contribute_no_gradient() -> None:
    current = currents((2, 3, 20), 0)
    for used in range(3):
        leaf = current.clone().requires_grad_()
        lif(leaf)[used].sum().backward()
        other = current.clone().requires_grad_()
        fired = lif(other)
        zeros = [torch.zeros_like(part) for part in fired]
        zeros[used] = torch.ones_like(fired[used])
        torch.autograd.backward(list(fired), zeros)
        assert torch.equal(leaf.grad, other.grad)


def test_currents_in_any_layout() -> None:
    current = currents((20, 3, 7), 0)
    for turned in (current.permute(2, 1, 0), current[:, ::2], current.expand(2, 20, 3, 7), current[0, 0]):
        leaf = turned.clone(memory_format=torch.contiguous_format).requires_grad_()
        other = turned.detach().clone().requires_grad_()
        assert torch.equal(LIF()(turned), LIF()(leaf))
        LIF()(leaf).sum().backward()
        LIF()(other.transpose(0, -1).transpose(0, -1)).sum().backward()
        assert torch.equal(leaf.grad, other.grad)


def test_the_inputs_are_not_changed() -> None:
    current, v = currents((2, 3, 20), 0).requires_grad_(), currents((2, 3), 1)
    before, v_before = current.detach().clone(), v.clone()
    spikes = lif(current, v).spikes
    grad = torch.ones_like(spikes)
    spikes.backward(grad)
    assert torch.equal(current, before)
    assert torch.equal(v, v_before)
    assert torch.equal(grad, torch.ones_like(spikes))


def test_no_graph_is_kept_without_gradients() -> None:
    current = currents((4, 5, 30), 0)
    spikes = LIF()(current)
    assert spikes.grad_fn is None
    with torch.no_grad():
        assert torch.equal(LIF()(current.clone().requires_grad_()), spikes)


def test_a_potential_exactly_at_the_threshold_fires() -> None:
    threshold = np.float32(0.3)
    current = torch.tensor([[2 * threshold], [2 * np.nextafter(threshold, np.float32(0))]])
    assert LIF()(current).flatten().tolist() == [1.0, 0.0]


def test_a_second_derivative_is_refused() -> None:
    current = currents((1, 2, 5), 0).requires_grad_()
    with pytest.raises(RtdecodeError, match="no second derivative"):
        torch.autograd.grad(LIF()(current).sum(), current, create_graph=True)


def test_no_steps_and_no_neurons() -> None:
    assert lif(torch.zeros(2, 3, 0))[0].shape == (2, 3, 0)
    assert lif(torch.zeros(2, 0, 4))[0].shape == (2, 0, 4)


@pytest.mark.parametrize(
    ("current", "v", "message"),
    [
        (torch.zeros(2, 3, dtype=torch.float64), None, "float64"),
        (torch.tensor(1.0), None, r"shape \(\)"),
        (torch.zeros(2, 3), torch.zeros(3), "do not fit"),
        (torch.zeros(2, 3), torch.zeros(2, dtype=torch.float64), "do not fit"),
    ],
)
def test_unusable_arguments_are_refused(current: Tensor, v: Tensor | None, message: str) -> None:
    with pytest.raises(RtdecodeError, match=message):
        lif(current, v)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same_spikes() -> None:
    current = currents((4, 16, 100), 0)
    assert torch.equal(LIF()(current.cuda()).cpu(), LIF()(current))
