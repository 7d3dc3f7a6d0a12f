"""The input of a bin as decoders take it: the counts of the channels, then a code for each feature."""

from __future__ import annotations

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.kernels.arrays import F8, I2, I8, U1
from rtdecode.kernels.features import N_FEATURE_COUNTERS, encode, encode_rows


class InputRows:
    """Puts counts and features together, bin by bin or many at once, to the same bits.

        rows = InputRows(artifact)
        stage.step(rows.row(closed.counts, closed.features), flags)

    Args:
        artifact: of the decoder.

    Attributes:
        counters: i8[N_FEATURE_COUNTERS], number of features MISSING and BEYOND the largest code so far.
    """

    def __init__(self, artifact: ModelArtifact) -> None:
        features = artifact.features
        self.counters: I8 = np.zeros(N_FEATURE_COUNTERS, np.int64)
        self._mean = np.array([feature.mean for feature in features], np.float64)
        self._sd = np.array([feature.sd for feature in features], np.float64)
        self._row: I2 = np.zeros(artifact.n_inputs, np.int16)
        self._counts, self._codes = self._row[: artifact.n_channels], self._row[artifact.n_channels :]

    def row(self, counts: U1, values: F8) -> U1 | I2:
        """The input of one bin.

        Args:
            counts: u1[C].
            values: f8[F], NaN where nothing was received; empty for a model without features.

        Returns:
            `counts` itself, or i2[C + F], which the next call overwrites.
        """
        if not len(self._codes):
            return counts
        self._counts[:] = counts
        encode(values, self._mean, self._sd, self.counters, self._codes)
        return self._row

    def rows(self, counts: U1, values: F8) -> U1 | I2:
        """The inputs of many bins, from counts u1[T, C] and values f8[T, F]; i2[T, C + F] with features."""
        if not len(self._codes):
            return counts
        codes = np.zeros(values.shape, np.int16)
        encode_rows(values, self._mean, self._sd, self.counters, codes)
        return np.concatenate((counts.astype(np.int16), codes), axis=1)
