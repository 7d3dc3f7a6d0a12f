"""New heads: each output by its own labels, and unchanged without any."""

from __future__ import annotations

import numpy as np
import pytest

from rtdecode.calibrate.adaptation.ridge_head import PENALTIES_S, refit_heads


@pytest.mark.parametrize("known", [0, 200, 300])
def test_what_is_unknown_of_one_output_changes_no_bit_of_the_others(known: int) -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(600, 6)).astype(np.float32)
    residuals = (features[:, :3] + 0.1 * random.normal(size=(600, 3))).astype(np.float32)
    residuals[500:] = np.nan
    whole = refit_heads(features, residuals, 0.1)
    np.testing.assert_allclose(whole.change[:3], np.eye(3), atol=0.05)
    residuals[known:, 1] = np.nan
    own = refit_heads(features, residuals, 0.1)
    for name in ("change", "offset", "penalty_s"):
        np.testing.assert_array_equal(getattr(own, name)[..., [0, 2]], getattr(whole, name)[..., [0, 2]])
    if known:
        np.testing.assert_allclose(own.change[:3, 1], [0, 1, 0], atol=0.05)
    else:
        assert not own.change[:, 1].any()
        assert (own.offset[1], own.penalty_s[1]) == (0.0, PENALTIES_S[-1])
