"""The interpolation factor, and the zero-shot r² that it depends on."""

from __future__ import annotations

import numpy as np
import pytest

from rtdecode.calibrate.adaptation.interpolation import HALF_S, SOUND, interpolation_factor, zero_shot_r2


def test_it_grows_with_the_labels() -> None:
    assert interpolation_factor(0.0) == 0.0
    assert interpolation_factor(HALF_S) == 0.5
    factors = [interpolation_factor(60.0 * minutes) for minutes in (0.5, 1.0, 2.0, 4.0, 60.0)]
    assert factors == sorted(factors)
    assert factors[-1] < 1.0


def test_it_is_1_for_a_base_that_decodes_nothing() -> None:
    assert interpolation_factor(30.0, 0.0) == 1.0
    assert interpolation_factor(0.0, 0.0) == 0.0
    assert interpolation_factor(60.0, SOUND) == interpolation_factor(60.0, 1.0) == interpolation_factor(60.0)
    factors = [interpolation_factor(60.0, base_r2) for base_r2 in (-0.1, 0.1, 0.3, 0.5, 0.6)]
    assert factors == sorted(factors, reverse=True)
    assert interpolation_factor(60.0, SOUND / 2**0.5) == pytest.approx(0.5)


def test_zero_shot_r2_ignores_scale_and_offset() -> None:
    rng = np.random.default_rng(0)
    decoded, noise = rng.normal(size=(2, 500, 3))
    assert zero_shot_r2(decoded, 3.0 * decoded + 5.0) == pytest.approx(1.0)
    assert zero_shot_r2(decoded, -decoded) == 0.0
    assert zero_shot_r2(decoded, noise) < 0.1
    assert zero_shot_r2(decoded, np.zeros_like(decoded)) == 0.0
    labels = decoded + 0.1 * noise
    labels[200:] = np.nan
    assert zero_shot_r2(decoded, labels) == pytest.approx(1 / 1.01, abs=0.01)
