"""The input of a bin as decoders take it: the counts of the channels, then a code for each feature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtdecode.artifact import CODES_PER_SD, LARGEST_CODE, Feature, ModelArtifact, check_same_arrays
from rtdecode.errors import RtdecodeError, located
from rtdecode.kernels.arrays import F8, I1, I2, I8, U1, Inputs
from rtdecode.kernels.features import N_FEATURE_COUNTERS, decode_rows, encode, encode_rows
from rtdecode.session.arrays import session_arrays
from rtdecode.session.bins import BinnedSession, bin_session
from rtdecode.session.layout import Decoded, LogEntry, Session

#: Bins of a recorded counts stream follow its source's real rate, so their width is not exact.
WIDTH_TOLERANCE = 0.01


class InputRows:
    """Puts counts and features together, bin by bin.

        rows = InputRows(artifact)
        stage.step(rows.row(closed.counts, closed.features), flags)

    Args:
        artifact: of the decoder.
        counters: added to; None to start at zero.

    Attributes:
        counters: i8[N_FEATURE_COUNTERS], number of features MISSING and BEYOND the largest code so far.
        codes: i2[F], of the last bin.
    """

    def __init__(self, artifact: ModelArtifact, counters: I8 | None = None) -> None:
        self.counters: I8 = np.zeros(N_FEATURE_COUNTERS, np.int64) if counters is None else counters
        self._mean, self._scale = _mean_and_scale(artifact.features)
        self._row: I2 = np.zeros(artifact.n_inputs, np.int16)
        self._counts, self.codes = self._row[: artifact.n_channels], self._row[artifact.n_channels :]

    def row(self, counts: U1, values: F8) -> Inputs:
        """The input of one bin.

        Args:
            counts: u1[C].
            values: f8[F], NaN where nothing was received; empty for a model without features.

        Returns:
            `counts` itself, or i2[C + F], which the next call overwrites.
        """
        if not len(self.codes):
            return counts
        self._counts[:] = counts
        encode(values, self._mean, self._scale, LARGEST_CODE, self.counters, self.codes)
        return self._row

    def skip(self) -> None:
        """A bin that is not decoded has no features: its codes are 0."""
        self.codes[:] = 0


def codes_of(features: Sequence[Feature], values: F8) -> I1:
    """The codes i1[T, F] of many bins, to the same bits as `InputRows`, from their values f8[T, F]."""
    codes, counters = np.zeros(values.shape, np.int16), np.zeros(N_FEATURE_COUNTERS, np.int64)
    encode_rows(np.ascontiguousarray(values), *_mean_and_scale(features), LARGEST_CODE, counters, codes)
    return codes.astype(np.int8)


def recoded(inputs: Inputs, before: Sequence[Feature], after: Sequence[Feature]) -> Inputs:
    """Inputs [T, C + F] for another model of the same features: the value of each code, in its codes."""
    if tuple(before) == tuple(after):
        return inputs
    values = np.zeros((len(inputs), len(before)))
    codes = np.ascontiguousarray(inputs[:, -len(before) :], np.int16)
    mean = np.array([each.mean for each in before])
    step = np.array([each.sd / CODES_PER_SD for each in before])
    decode_rows(codes, mean, step, values)
    return with_codes(inputs[:, : -len(before)], codes_of(after, values))


def with_codes(counts: Inputs, codes: I1 | None) -> Inputs:
    """Inputs of many bins: counts [T, C] themselves, or i2[T, C + F] with codes behind them."""
    return counts if codes is None else np.concatenate((counts, codes), axis=1, dtype=np.int16)


def _mean_and_scale(features: Sequence[Feature]) -> tuple[F8, F8]:
    mean, scale = ([getattr(each, part) for each in features] for part in ("mean", "scale"))
    return np.array(mean, np.float64), np.array(scale, np.float64)


def inputs_of(decoded: Decoded) -> Inputs:
    """The inputs that the decoder stepped, u1[T, C]; with features i2[T, C + F]."""
    return with_codes(decoded.counts, decoded.codes)


def session_inputs(session: Session, artifact: ModelArtifact, seed: int = 0) -> Inputs:
    """The bins that `decode_session` steps, in order, [T, n_inputs]; T ≥ 1 except for an empty recording.

    Raises:
        RtdecodeError: the session has other channels than the model, lacks a feature, or is shorter than a
            bin.
    """
    check_array(session, artifact)
    if (live := _live_bins(session, artifact)) is not None:
        return inputs_of(live)
    binned, codes = binned_inputs(session, artifact, seed)
    return with_codes(binned.counts, codes)


def session_starts(session: Session, artifact: ModelArtifact, seed: int = 0) -> I8:
    """First row i8[S] of each stretch of `session_inputs` between gaps of the recording, 0 first."""
    if _live_bins(session, artifact) is not None:
        return np.zeros(1, np.int64)
    return bin_session(session, artifact.bin_width_s, seed).starts


def _live_bins(session: Session, artifact: ModelArtifact) -> Decoded | None:
    """What was decoded live, if its bins and codes are the model's."""
    live = session.decoded
    if live is None or not has_bins_of(session, live, artifact.bin_width_s):
        return None
    return live if codes_are_of(live, artifact) else None


def binned_inputs(session: Session, artifact: ModelArtifact, seed: int) -> tuple[BinnedSession, I1 | None]:
    """A session in the model's bins, and the codes i1[T, F] of the model's features, None without any.

    Raises:
        RtdecodeError: the session is shorter than a bin, or lacks a feature of the model.
    """
    binned = bin_session(session, artifact.bin_width_s, seed)
    if len(binned.counts) == 0:
        raise RtdecodeError(
            f"the session is shorter than one bin of {artifact.bin_width_s * 1e3:g} ms",
            where=where_of(session),
            fix="choose a longer session",
        )
    if not artifact.features:
        return binned, None
    columns = feature_columns(session, [feature.name for feature in artifact.features])
    assert binned.features is not None
    return binned, codes_of(artifact.features, binned.features[:, columns])


def feature_columns(
    session: Session, names: Sequence[str], fix: str = "choose a model made of this rig's features"
) -> list[int]:
    """The column of each feature of a model among those of a session, by name.

    Raises:
        RtdecodeError: the session lacks some; `fix` says what to do about it.
    """
    recorded = () if session.features is None else session.features.names
    missing = [name for name in names if name not in recorded]
    if missing:
        raise RtdecodeError(
            f"the session lacks {len(missing)} of the {len(names)} features of the model, "
            f"{missing[0]!r} among them",
            where=where_of(session),
            fix=fix,
        )
    return [recorded.index(name) for name in names]


def check_array(session: Session, artifact: ModelArtifact) -> None:
    """The session has the channels of the model, and its recorded bins as many features.

    Raises:
        RtdecodeError: it has others.
    """
    codes = None if session.decoded is None else session.decoded.codes
    n_features = len(artifact.features) if session.decoded is None else 0 if codes is None else codes.shape[1]
    for what, found, needed in (
        ("channels", session.n_channels, artifact.n_channels),
        ("recorded features", n_features, len(artifact.features)),
    ):
        if found != needed:
            raise RtdecodeError(
                f"the session has {found} {what}, the model {needed}",
                where=where_of(session),
                fix="choose a model made for this array",
            )
    with located(where_of(session)):
        check_same_arrays(session_arrays(session), artifact.arrays, "the model")


def has_bins_of(session: Session, live: Decoded, bin_width_s: float) -> bool:
    """Whether a recording's bins are of this width; for another width its events are binned again."""
    if len(live.bin) < 2:
        return True
    if (counts := session.counts) is not None:
        # Bins end where the samples of their source do, which has another rate than it announces.
        bin_width_s *= counts.bin_width_s / counts.nominal_width_s
    widths_s = np.diff(live.t_bin) / np.diff(live.bin)
    return abs(float(np.median(widths_s)) / bin_width_s - 1) < WIDTH_TOLERANCE


def codes_are_of(live: Decoded, artifact: ModelArtifact, *, swaps: bool = False) -> bool:
    """Whether a recording's codes are those of this model, or with `swaps` of those that replaced it too.

    If not, its features are put into bins again: another model has other means and SDs.
    """
    return not artifact.features or (live.models if not swaps else live.models[:1]) == (artifact.model_id,)


def backlog_input(entry: LogEntry, artifact: ModelArtifact) -> Inputs:
    """The input of a bin of backlog, of a `warmup` entry: [channel, count] pairs, and codes of features."""
    row = np.zeros(artifact.n_inputs, artifact.input_dtype)
    for channel, count in entry.data["counts"]:
        row[channel] = count
    if artifact.features:
        row[artifact.n_channels :] = entry.data["codes"]
    return row


def where_of(session: Session) -> str:
    """The file of a session, or its name."""
    return str(session.path or session.name)
