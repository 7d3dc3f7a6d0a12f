"""Decode a session offline, as fast as possible, with the code that runs live.

For a session that `serve --record` wrote, the same bins are stepped as live, and /log is applied, so the
result is the published values bit for bit. Any other session is binned first, and the decoder is reset after
each gap of its recording.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Sequence
from dataclasses import replace

import msgspec
import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.decoder import Decoder, run_stretches
from rtdecode.decode.inputs import (
    backlog_input,
    binned_inputs,
    check_array,
    codes_are_of,
    has_bins_of,
    inputs_of,
    where_of,
)
from rtdecode.decode.stage import DecodeStage
from rtdecode.errors import RtdecodeError
from rtdecode.failsafe import HELD
from rtdecode.kernels.arrays import Mask
from rtdecode.messages import Flag
from rtdecode.output.settings import OutputSettings, read_settings
from rtdecode.output.stage import OutputStage
from rtdecode.session.layout import Decoded, DecodedOut, LogEntry, Session

#: Returns the model of an id, and a decoder of it, for a swap that names its file.
FindModel = Callable[[str, str], tuple[ModelArtifact, Decoder]]


def decode_session(
    session: Session,
    artifact: ModelArtifact,
    decoder: Decoder,
    *,
    seed: int = 0,
    output: OutputSettings | None = None,
    swapped: FindModel | None = None,
) -> Decoded:
    """Decode a whole session.

    Args:
        session: with /decoded in bins of the model's width (replayed exactly), or events or counts
            (binned at the model's width).
        artifact: the model's, for its outputs and identity.
        decoder: loaded from it; reset here.
        seed: random seed that distributes counts coarser than the model's bin (docs/session-files.md).
        output: settings of the output stage; None for those of the recording, or no stage if it had none.
        swapped: see `decode_recording`.

    Returns:
        One row per bin.

    Raises:
        RtdecodeError: the session has another channel count than the model, or is shorter than a bin; the
            output stage needs an output that this model does not decode.
    """
    where = where_of(session)
    check_array(session, artifact)
    live = session.decoded
    if output is None and live is not None and live.out is not None:
        output = read_settings(live.out.settings, f"{where}:/decoded")
    stage = None
    if output is not None:
        stage = OutputStage(output, artifact.outputs, artifact.bin_width_s, f"{where}: [output]")
    if (
        live is not None
        and has_bins_of(session, live, artifact.bin_width_s)
        and codes_are_of(live, artifact, swaps=swapped is not None)
    ):
        return decode_recording(live, session.log, artifact, decoder, stage, swapped)
    binned, codes = binned_inputs(session, artifact, seed)
    n_bins = len(binned.counts)
    flags = np.zeros(n_bins, np.uint32)
    flags[binned.starts[1:]] = Flag.GAP
    decoded = Decoded(
        bin=np.arange(n_bins) if binned.number is None else binned.number,
        t_bin=binned.t_bin,
        values=np.zeros((n_bins, len(artifact.outputs)), np.float32),
        flags=flags,
        model=np.zeros(n_bins, np.uint8),
        late=np.zeros(n_bins, np.uint16),
        lost=np.zeros(n_bins, np.uint32),
        counts=binned.counts,
        codes=codes,
        origin_s=binned.origin_s,
        models=(artifact.model_id,),
        names=artifact.output_names,
    )
    run_stretches(decoder, inputs_of(decoded), binned.starts, decoded.values)
    if not np.isfinite(decoded.values).all():
        # Bin by bin, with the fail-safe.
        return decode_recording(decoded, gap_resets(decoded), artifact, decoder, stage)
    return decoded if stage is None else replace(decoded, out=_place_cursor(stage, decoded))


def gap_resets(decoded: Decoded) -> tuple[LogEntry, ...]:
    """The entries of /log that go with bins decoded here: the decoder was reset before those flagged GAP."""
    rows = np.flatnonzero(decoded.flags & Flag.GAP)
    return tuple(
        LogEntry(float(decoded.t_bin[i]), int(decoded.bin[i]), "reset", {"reason": "gap"}) for i in rows
    )


def _place_cursor(stage: OutputStage, decoded: Decoded, home_rows: Container[int] = ()) -> DecodedOut:
    """The output stage over all rows; it returns home before each row in `home_rows`."""
    out = np.zeros((len(decoded.values), len(stage.names)), np.float32)
    for i, value in enumerate(decoded.values):
        if i in home_rows:
            stage.reset()
        stage.step(value, int(decoded.flags[i]))
        out[i] = stage.value
    return DecodedOut(out, stage.names, stage.units, msgspec.to_builtins(stage.settings))


def decode_recording(
    live: Decoded,
    log: Sequence[LogEntry],
    artifact: ModelArtifact,
    decoder: Decoder,
    output: OutputStage | None = None,
    swapped: FindModel | None = None,
) -> Decoded:
    """Step exactly the bins stepped live: /decoded/counts in order, with /log applied.

    The rules, in the order of a bin: entries of /log at that bin (`reset` resets the decoder, `warmup` steps
    the bin of backlog it holds, `outage` stops stepping, `gap` resumes it, `swap` continues with another
    decoder, which first steps the last `warmed` bins); the decoder steps the bin's counts; a value that is
    not finite, FAILSAFE and PAUSED hold (`rtdecode.failsafe`). The output stage follows; a requested `reset`
    (reason "control") first returns its cursor home.

    Args:
        live, log: of the recording.
        artifact, decoder: the first of its models, or any other model of the same array.
        output: the output stage, None for none.
        swapped: finds the models of swaps. Without it, or if `artifact` is not the recording's first model,
            `artifact` decodes all.

    Returns:
        Like `live`, with the values decoded here.

    Raises:
        RtdecodeError: as `swapped`, or a swap does not fit the recording.
    """
    stage = DecodeStage(decoder, artifact)
    stage.reset()
    swaps = None
    if swapped is not None and live.models[:1] == (artifact.model_id,):
        swaps = _Swaps(artifact, decoder, swapped)
    # An entry at a bin that was not recorded applies to the next recorded bin.
    waiting = deque(sorted(log, key=lambda entry: entry.bin))
    values = np.zeros((len(live.bin), len(artifact.outputs)), np.float32)
    flags = np.zeros(len(live.bin), np.uint32)
    model = np.zeros(len(live.bin), np.uint8)
    stepping = True
    home_rows = set()
    inputs = inputs_of(live)
    for i, b in enumerate(live.bin):
        while waiting and waiting[0].bin <= b:
            entry = waiting.popleft()
            if entry.kind == "reset":
                stage.reset()
                if entry.data.get("reason") == "control":
                    home_rows.add(i)
            elif entry.kind == "warmup":
                stage.warm(backlog_input(entry, artifact))
            elif entry.kind in ("outage", "gap"):
                stepping = entry.kind == "gap"
            elif entry.kind == "swap" and swaps is not None:
                swaps.follow(entry, stage)
        recorded = int(live.flags[i])
        flags[i] = stage.step(inputs[i], recorded) if stepping else stage.skip(recorded)
        values[i] = stage.value
        model[i] = 0 if swaps is None else swaps.row
    decoded = replace(
        live,
        values=values,
        flags=flags,
        model=model,
        models=(artifact.model_id,) if swaps is None else swaps.models,
        names=artifact.output_names,
        out=None,
    )
    return decoded if output is None else replace(decoded, out=_place_cursor(output, decoded, home_rows))


class _Swaps:
    """The models of a recording's swaps, each loaded once.

    Attributes:
        models: model_id of each so far, in the order of their first bins.
        row: index in `models` of the one that decodes now.
    """

    def __init__(self, artifact: ModelArtifact, decoder: Decoder, find: FindModel) -> None:
        self._array, self._find = _array_of(artifact), find
        self._decoders = {artifact.model_id: decoder}
        self._artifacts = {artifact.model_id: artifact}
        self.row = 0

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(self._decoders)

    def follow(self, entry: LogEntry, stage: DecodeStage) -> None:
        """Swap as the loop did.

        Raises:
            RtdecodeError: the entry is not one that `serve` writes, or as `find`.
        """
        try:
            model, path, warmed = str(entry.data["model"]), str(entry.data["path"]), int(entry.data["warmed"])
            stage.recent.last(warmed)
        except (LookupError, TypeError, ValueError) as error:
            raise RtdecodeError(
                f"the swap at bin {entry.bin} cannot be followed ({type(error).__name__}: {error})",
                where="/log",
                fix="use the recording as serve wrote it",
            ) from None
        if model not in self._decoders:
            artifact, self._decoders[model] = self._find(model, path)
            self._artifacts[model] = artifact
            if _array_of(artifact) != self._array:
                raise RtdecodeError(
                    f"model {model} of the swap at bin {entry.bin} has other channels, features or outputs",
                    fix="give the file of the model that was swapped in",
                )
        decoder = self._decoders[model]
        # A swap may name the model that decodes already.
        decoder.reset()
        stage.adopt(decoder, warmed, self._artifacts[model].features)
        self.row = list(self._decoders).index(model)


def _array_of(artifact: ModelArtifact) -> tuple[object, ...]:
    """What models that replace one another have in common."""
    features = tuple(feature.column for feature in artifact.features)
    return artifact.n_channels, features, artifact.output_names


def scored_rows(decoded: Decoded, from_s: float | None, to_s: float | None) -> Mask:
    """The bins to score, bool[T]: within [from_s, to_s) seconds of the first, and not held.

    Values held by the fail-safe or a pause are not the decoder's.
    """
    since = decoded.t_bin - (decoded.t_bin[0] if len(decoded.t_bin) else 0.0)
    rows: Mask = (decoded.flags & HELD) == 0
    if from_s is not None:
        rows &= since >= from_s
    if to_s is not None:
        rows &= since < to_s
    return rows
