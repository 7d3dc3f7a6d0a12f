"""`rtdecode decode`."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtdecode.cli.common import number, print_json, print_line, table
from rtdecode.cli.options import CountsSeed, Json, Overwrite, output_option, session_argument

if TYPE_CHECKING:
    from rtdecode.session.layout import Session


class Engine(StrEnum):
    """Implementation of the decoder."""

    NUMBA = "numba"
    TORCH = "torch"


def decode(
    session: Annotated[Path, session_argument("Session file (.h5, or an importable one).")],
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Model file or name; default: the model the recording started with. Repeat to give files of "
            "swapped-in models that have moved.",
            metavar="PATH|NAME",
        ),
    ] = None,
    engine: Annotated[
        Engine, typer.Option(help="Implementation: numba, as in serve, or torch, for networks.")
    ] = Engine.NUMBA,
    score_from: Annotated[
        float | None,
        typer.Option("--from", help="Start of the scored part, seconds; everything is decoded.", min=0),
    ] = None,
    score_to: Annotated[
        float | None,
        typer.Option("--to", help="End of the scored part, seconds; everything is decoded.", min=0),
    ] = None,
    output: Annotated[
        Path | None, output_option(help="Session file (.h5) to write, with /decoded.", metavar="OUT.h5")
    ] = None,
    overwrite: Overwrite = False,
    config: Annotated[
        Path | None,
        typer.Option(
            help="File (rig.toml) whose output stage is applied; default: the recording's own, if any."
        ),
    ] = None,
    seed: CountsSeed = 0,
    json: Json = False,
) -> None:
    """Decode a session file as fast as possible.

    A recording of `serve --record` gives the published values again, bit for bit, swaps included. With
    another model than the one it started with, that model decodes all of it.
    """
    from dataclasses import replace

    from rtdecode.calibrate.data.metrics import score_decoded
    from rtdecode.calibrate.data.recorded import unrecorded
    from rtdecode.decode.offline import decode_session, gap_resets, scored_rows
    from rtdecode.files import check_writable, unused
    from rtdecode.session.read import read_session
    from rtdecode.session.write import write_session

    if score_from is not None and score_to is not None and score_to <= score_from:
        raise typer.BadParameter(f"must be greater than --from, not {score_to:g}", param_hint="--to")
    if output is not None:
        check_writable(output, overwrite=overwrite, inputs=[session])
    stage = _output_settings(config)
    recorded = read_session(session)
    models = RecordedModels(model or [], recorded, engine)
    artifact, decoder = models.first()
    if recorded.decoded is None:
        _compile(decoder)
    started = time.perf_counter()
    decoded = decode_session(recorded, artifact, decoder, seed=seed, output=stage, swapped=models.swapped)
    seconds = time.perf_counter() - started
    document: dict[str, Any] = {
        "bins": len(decoded.bin),
        "outputs": list(artifact.output_names),
        "r2": None,
        "pcc": None,
        "seconds": seconds,
        "realtime_factor": len(decoded.bin) * artifact.bin_width_s / seconds,
        "clipped": models.clipped,
        "model": artifact.model_id,
        "models": list(decoded.models),
        "engine": engine.value,
    }
    rows = scored_rows(decoded, score_from, score_to)
    missing = unrecorded(recorded, decoded.t_bin, artifact.bin_width_s)
    notes = list(recorded.notes)
    if recorded.behavior is not None and (rows & missing).any():
        n = int((rows & missing).sum())
        notes.append(f"{n} of {int(rows.sum())} bins lie in an outage or a silence of the array: not scored")
        rows &= ~missing
    document["notes"] = notes
    document["scored_bins"] = int(rows.sum())
    if recorded.behavior is not None:
        document["r2"], document["pcc"] = score_decoded(
            decoded.t_bin[rows], decoded.values[rows], artifact.output_names, recorded.behavior
        )
    if output is not None:
        output = output if overwrite else unused(output)
        # So that the file, decoded again, gives the same values.
        resets = gap_resets(decoded) if recorded.decoded is None else ()
        write_session(output, replace(recorded, decoded=decoded, log=(*recorded.log, *resets)))
        document["output"] = str(output)
    if json:
        print_json(document)
        return
    for note in notes:
        print(f"note: {note}")
    print(
        f"{len(decoded.bin)} bins of {artifact.bin_width_s * 1e3:g} ms in {seconds:.2f} s "
        f"({document['realtime_factor']:.0f}x real time), {document['scored_bins']} scored"
    )
    if document["r2"] is None:
        print("the session has no behaviour, so there is no score")
    else:
        rows_text = [
            [name, number(r2), number(pcc)]
            for name, r2, pcc in zip(artifact.output_names, document["r2"], document["pcc"], strict=True)
        ]
        print(table(["output", "R²", "PCC"], rows_text))
    if output is not None:
        print(f"written to {output}")


def _open(path: Path, engine: Engine) -> Any:
    """Read a model file and load its decoder in the engine."""
    from rtdecode.artifact import read_artifact
    from rtdecode.decode.load import open_model
    from rtdecode.errors import located

    if engine is Engine.NUMBA:
        return open_model(path)
    from rtdecode.models.engine.load import load_torch_decoder

    artifact = read_artifact(path)
    with located(path):
        return artifact, load_torch_decoder(artifact)


class RecordedModels:
    """The models that decode a session, one or, in a recording with swaps, several.

    Args:
        named: paths or names that were given.
        session: a recording, or any other session.
        engine: implementation of the decoders.

    Raises:
        RtdecodeError: a model is not found.
    """

    def __init__(self, named: list[str], session: Session, engine: Engine) -> None:
        from rtdecode.model_store import find_model

        self._paths, self._engine = [find_model(each) for each in named], engine
        self._where = str(session.path or session.name)
        self._recorded = session.decoded.models if session.decoded is not None else ()
        self._log = [Path(str(entry.data["path"])) for entry in session.log if "path" in entry.data]
        self._decoders: list[Any] = []

    @property
    def clipped(self) -> int:
        """Number of counts above count_max of the models."""
        return sum(decoder.clipped for decoder in self._decoders)

    def first(self) -> tuple[Any, Any]:
        """The model that a recording started with, else the first that was given, and its decoder.

        Raises:
            RtdecodeError: none was given and that of the recording is not found, or a file is not a model.
        """
        from rtdecode.artifact import read_artifact
        from rtdecode.errors import RtdecodeError

        if not self._paths:
            if not self._recorded:
                raise RtdecodeError(
                    "was not decoded live, so it names no model",
                    where=self._where,
                    fix="give one with --model",
                )
            return self.swapped(self._recorded[0], self._where)
        ids = [read_artifact(path).model_id for path in self._paths]
        first = next((ids.index(each) for each in self._recorded[:1] if each in ids), None)
        if first is None and self._recorded:
            print_line(f"the recording started with model {self._recorded[0]}; {ids[0]} decodes all of it")
        return self._kept(_open(self._paths[first or 0], self._engine))

    def swapped(self, model_id: str, path: str) -> tuple[Any, Any]:
        """A model of the recording, swapped in from the file at `path`, and its decoder.

        Raises:
            RtdecodeError: it is not found.
        """
        from rtdecode.errors import RtdecodeError
        from rtdecode.model_store import find_by_id

        found = find_by_id(model_id, [*self._paths, Path(path), *self._log])
        if found is None:
            raise RtdecodeError(
                f"the model {model_id} of the recording is not found where it was",
                where=path,
                fix="give its file with another --model",
            )
        return self._kept(_open(found, self._engine))

    def _kept(self, opened: tuple[Any, Any]) -> tuple[Any, Any]:
        self._decoders.append(opened[1])
        return opened


def _output_settings(config: Path | None) -> Any:
    """The output stage of a rig.toml, None without a file."""
    if config is None:
        return None
    from rtdecode.errors import RtdecodeError
    from rtdecode.rig_file import read_output_table

    stage = read_output_table(config)
    if stage is None:
        raise RtdecodeError("has no [output] table", where=str(config), fix="add one, or omit --config")
    return stage


def _compile(decoder: Any) -> None:
    """Compile first: compilation is not part of the real-time factor."""
    import numpy as np

    decoder.run(np.zeros((2, decoder.n_channels), np.uint8), np.zeros((2, decoder.n_outputs), np.float32))
    decoder.reset()
