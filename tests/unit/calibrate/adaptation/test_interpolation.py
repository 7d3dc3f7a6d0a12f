"""How near a calibration stays to its base."""

from __future__ import annotations

import numpy as np
import pytest

from rtdecode.calibrate.adaptation.interpolation import HALF_S, SOUND, part_of_the_way, worth


def test_the_part_of_the_way() -> None:
    assert part_of_the_way(0.0) == 0.0
    assert part_of_the_way(HALF_S) == 0.5
    parts = [part_of_the_way(60.0 * minutes) for minutes in (0.5, 1.0, 2.0, 4.0, 60.0)]
    assert parts == sorted(parts)
    assert parts[-1] < 1.0


def test_a_base_that_knows_nothing_of_today_is_left_for_good() -> None:
    assert part_of_the_way(30.0, 0.0) == 1.0
    assert part_of_the_way(0.0, 0.0) == 0.0
    assert part_of_the_way(60.0, SOUND) == part_of_the_way(60.0, 1.0) == part_of_the_way(60.0)
    parts = [part_of_the_way(60.0, worth_today) for worth_today in (-0.1, 0.1, 0.3, 0.5, 0.6)]
    assert parts == sorted(parts, reverse=True)
    assert part_of_the_way(60.0, SOUND / 2**0.5) == pytest.approx(0.5)


def test_a_base_is_worth_what_it_decodes_whatever_the_scale() -> None:
    rng = np.random.default_rng(0)
    decoded, noise = rng.normal(size=(2, 500, 3))
    assert worth(decoded, 3.0 * decoded + 5.0) == pytest.approx(1.0)
    assert worth(decoded, -decoded) == 0.0
    assert worth(decoded, noise) < 0.1
    assert worth(decoded, np.zeros_like(decoded)) == 0.0
    known = decoded + 0.1 * noise
    known[200:] = np.nan
    assert worth(decoded, known) == pytest.approx(1 / 1.01, abs=0.01)
