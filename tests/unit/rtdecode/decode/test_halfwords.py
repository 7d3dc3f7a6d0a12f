"""Weights in 16 bits: what fits, what does not, and that steps give the values of float32."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rtdecode.artifact import ModelArtifact, read_artifact
from rtdecode.decode import alignnet_tensors
from rtdecode.decode.alignnet import AlignNetDecoder
from rtdecode.decode.halfwords import LARGEST, as_halfwords, rounded_to_halfwords
from rtdecode.decode.load import load_decoder
from rtdecode.model_store import find_model

N_BINS = 400


@given(weight=arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e6, 1e6)))
@settings(max_examples=200, deadline=None)
def test_a_rounded_tensor_fits_without_losing_a_bit(weight: np.ndarray) -> None:
    rounded = rounded_to_halfwords(weight)
    largest = np.abs(weight).max()
    assert np.abs(rounded - weight).max() <= max(2.0**-15 * largest, 2.0**-65)
    packed = as_halfwords(rounded.astype(np.float32))
    assert packed is not None
    words, scale = packed
    assert words.dtype == np.int16
    assert np.frexp(scale)[0] == 0.5
    np.testing.assert_array_equal(np.float32(scale) * words.astype(np.float32), rounded.astype(np.float32))


@pytest.mark.parametrize("largest", [1.0, 32767.0, 32767.4, 32767.6, 32768.0, 0.99999, 2.0**-40, 3e20])
def test_the_ends_of_the_range(largest: float) -> None:
    rounded = rounded_to_halfwords(np.array([largest, -largest, 0.0]))
    packed = as_halfwords(rounded.astype(np.float32))
    assert 2**14 <= packed[0][0] <= LARGEST
    assert packed[0][1] == -packed[0][0]


def test_zeros_fit_and_a_value_between_two_steps_does_not() -> None:
    packed = as_halfwords(np.zeros((2, 3), np.float32))
    assert (packed[0].shape, packed[1]) == ((2, 3), 1.0)
    assert as_halfwords(np.array([1.0, np.nextafter(np.float32(0.5), np.float32(1))], np.float32)) is None


def decoded(decoder: AlignNetDecoder) -> np.ndarray:
    counts = np.random.default_rng(1).poisson(0.3, (N_BINS, decoder.n_channels)).astype(np.uint8)
    out = np.empty((N_BINS, decoder.n_outputs), np.float32)
    decoder.run(counts, out)
    return out


@pytest.fixture
def base() -> ModelArtifact:
    return read_artifact(find_model("indy"))


def test_steps_from_16_bits_give_the_values_of_float32(
    base: ModelArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = load_decoder(base)
    assert isinstance(packed, AlignNetDecoder)
    assert alignnet_tensors.Layout(base).weights.dtype == np.int16
    monkeypatch.setattr(alignnet_tensors, "as_halfwords", lambda _weight: None)
    plain = alignnet_tensors.Layout(base)
    assert plain.weights.dtype == np.float32
    np.testing.assert_array_equal(decoded(packed), decoded(AlignNetDecoder(base)))


def test_a_model_that_does_not_fit_is_stepped_from_float32(base: ModelArtifact) -> None:
    skip = base.run["skip0.weight"].copy()
    skip.flat[0] = np.nextafter(skip.flat[np.abs(skip).argmax()] / 3, np.float32(9))
    odd = replace(base, run=base.run | {"skip0.weight": skip})
    assert alignnet_tensors.Layout(odd).weights.dtype == np.float32
    assert np.isfinite(decoded(AlignNetDecoder(odd))).all()
