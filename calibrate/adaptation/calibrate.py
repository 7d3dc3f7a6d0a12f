"""Calibrate a model of other days to a session, and judge whether it may be deployed.

result = calibrate_session("today.h5", base)
if result.deployable:
    write_artifact("today.safetensors", result.artifact)
result.reason
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.adaptation.finetune_settings import FINETUNING
from rtdecode.calibrate.adaptation.gate import NEEDED_S, Verdict, judge
from rtdecode.calibrate.adaptation.ladder import Taken, default_rung, fresh_name, take_checked
from rtdecode.calibrate.adaptation.session import calibration_session
from rtdecode.calibrate.channels.checkup import Channels
from rtdecode.calibrate.data.checks import check_unseen, shared_labels
from rtdecode.calibrate.data.features import reading
from rtdecode.calibrate.data.metrics import nullable, pcc, varies
from rtdecode.calibrate.data.provenance import created_now, numeric_versions
from rtdecode.calibrate.data.refit_labels import REFIT
from rtdecode.calibrate.data.split_session import SplitSession
from rtdecode.calibrate.decoding import decoded
from rtdecode.calibrate.fitting.fitters import same_day_filter
from rtdecode.calibrate.fitting.training_set import MIN_TRAIN_S
from rtdecode.calibrate.run import Run
from rtdecode.calibrate.training.settings import TrainingSettings
from rtdecode.errors import RtdecodeError
from rtdecode.session.arrays import session_arrays
from rtdecode.session.layout import Session
from rtdecode.session.read import read_session

#: Shortest labelled time for training and scoring; and shortest time of a session without labels.
SHORTEST_S, SHORTEST_SPIKES_S = 50.0, 20.0

#: Fraction of the time until the deadline that judging takes.
JUDGING = 0.2

#: Without labels, the fraction of the base's channels that have to fire.
MIN_ALIVE = 0.5


@dataclass(frozen=True, eq=False)
class Calibration:
    """The result of a calibration.

    Attributes:
        artifact: the calibrated model; None where none could be made.
        rung: how it was made.
        deployable: whether it passed the gate.
        reason: why it did or did not, in one line.
        verdict: the scores of the test part; None without labels.
        pcc: f8[D], Pearson's correlation there; None without labels.
        seconds: duration of the calibration.
        notes: warnings for its users, a sentence each.
        session: the session in the model's bins.
        channels: what was found about its channels; None where no model could be made.
        decoded: f4[test, D], by the calibrated model; None without labels.
        judged: False where it neither passed nor failed, since nothing shows whether it is better than the
            model in use: there are no labels, or the two cannot be compared.
    """

    artifact: ModelArtifact | None
    rung: str
    deployable: bool
    reason: str
    verdict: Verdict | None
    pcc: NDArray[np.float64] | None
    seconds: float
    notes: list[str]
    session: SplitSession
    channels: Channels | None = None
    decoded: NDArray[np.float32] | None = None
    judged: bool = True


def calibrate_session(
    session: Session | Path | str,
    base: ModelArtifact,
    run: Run | None = None,
    *,
    incumbent: ModelArtifact | None = None,
    rung: str | None = None,
    blocks: Sequence[str] = (),
    finetune: TrainingSettings = FINETUNING,
) -> Calibration:
    """Calibrate a network to a session.

    The first 80 % of the labelled time is the training part. The last fifth is the test part and is scored
    once, at the end: the new model, the incumbent, and a Wiener filter fitted to the same 80 %.

    Args:
        session: path of the file, or the session that was read from it.
        base: the network to start from.
        run: seed, device, deadline and progress; None for the defaults.
        incumbent: the model in use, which has to be beaten; None for the base as it is.
        rung: one of `ladder.RUNGS`; None for the best that the session and the installation allow.
        blocks: names of the blocks to use; () for the whole session.
        finetune: settings of fine-tuning.

    Raises:
        RtdecodeError: the session cannot be read or does not fit the base, the base is not a network or was
            trained on the test part, or the rung is not possible. A session that is too short or silent is no
            error: it is refused, with a reason.
    """
    started = time.monotonic()
    run = Run() if run is None else run
    run.progress(0.0)
    recorded = session if isinstance(session, Session) else read_session(session)
    day = calibration_session(
        recorded, base, labels_optional=rung == "unsup", seed=run.seed, refit=rung == REFIT, blocks=blocks
    )
    check_unseen(base, day.of.sha256, str(day.of.path), day.test_s)
    chosen = rung if rung is not None else default_rung(day.training_s)
    reason = _unusable(day, base)
    if reason:
        seconds = time.monotonic() - started
        return Calibration(None, chosen, False, reason, None, None, seconds, list(day.of.notes), day)
    training_ends_s = run.deadline_s
    if training_ends_s is not None:
        training_ends_s = started + (1.0 - JUDGING) * (training_ends_s - started)
    training_run = replace(
        run, deadline_s=training_ends_s, progress=lambda done: run.progress(0.1 + 0.7 * done)
    )
    taken, channels, masked = take_checked(chosen, base, day, training_run, finetune)
    run.progress(0.8)
    made = taken.artifact
    notes = [*day.of.notes, *_hardly_known(day), *taken.notes, *channels.notes]
    if day.of.refit is not None:
        notes.insert(0, day.of.refit.note())
    if day.of.binned.synthetic_times:
        notes.append("the session's counts were distributed over finer bins: their times there are synthetic")
    verdict, correlation, values, judged = None, None, None, True
    if day.labelled:
        rival = base if incumbent is None else incumbent
        comparable, other = _comparable(rival, base, day), "other bins, features or outputs"
        if not comparable:
            notes.append(f"the model in use, {rival.model_id}, has {other}: not compared")
        values = _decoded(made, day)
        filtered = same_day_filter(
            masked.training_inputs,
            masked.training_targets,
            base.outputs,
            day.bin_width_s,
            day.of.features,
            day.training_starts,
        )
        verdict = judge(
            values,
            day.test_targets,
            day.bin_width_s,
            incumbent=_decoded(rival, day) if comparable else None,
            wiener=_decoded(filtered, day),
            seed=run.seed,
        )
        correlation = pcc(values, day.test_targets)
        deployable, reason = verdict.deployable, verdict.reason
        if day.of.refit is not None:
            reason += ", against intended velocities"
        if deployable and not comparable:
            deployable = judged = False
            reason = f"nothing was compared with the model in use, {rival.model_id}: it has {other}"
    else:
        deployable = False
        judged, reason = _by_channels(base, made, channels)
    run.progress(1.0)
    return Calibration(
        artifact=replace(
            made,
            arrays=base.arrays or session_arrays(day.of.session),
            provenance=_provenance(base, day, taken, verdict, run.seed, notes),
        ),
        rung=taken.rung,
        deployable=deployable,
        reason=reason,
        verdict=verdict,
        pcc=correlation,
        seconds=time.monotonic() - started,
        notes=notes,
        session=day,
        channels=channels,
        decoded=values,
        judged=judged,
    )


def forced(result: Calibration) -> Calibration:
    """A calibration that was refused, to be deployed all the same: recorded in the model's provenance.

    Raises:
        RtdecodeError: there is no model.
    """
    if result.artifact is None:
        raise RtdecodeError(
            f"no model could be made: {result.reason}", where="--force", fix="record a new session"
        )
    provenance = result.artifact.provenance | {"forced": result.reason}
    return replace(result, artifact=replace(result.artifact, provenance=provenance))


def _unusable(day: SplitSession, base: ModelArtifact) -> str:
    """Why no model can be made of the session; "" if one can."""
    if not day.statistics(base.count_max)[2].any():
        return "no channel fires: is the array connected?"
    seconds = len(day.counts) * day.bin_width_s
    if not day.labelled:
        if seconds < SHORTEST_SPIKES_S:
            return f"the session lasts {seconds:.0f} s, and {SHORTEST_SPIKES_S:g} s are needed"
        return ""
    labelled_s = day.training_s + day.test_s
    if labelled_s < SHORTEST_S:
        what = "of behaviour" if day.of.refit is None else "on the way to targets"
        return f"the session has {labelled_s:.0f} s {what}, and {SHORTEST_S:g} s are needed"
    for which, rows in (("first 80 %", day.training), ("last fifth", day.test)):
        if not varies(day.targets[rows]).any():
            return f"the behaviour of its {which} does not vary"
    return ""


def _hardly_known(day: SplitSession) -> Iterator[str]:
    """A sentence about outputs with too few labels to learn, and one about those with too few to judge."""
    for bins, needed_s, what in (
        (day.training, MIN_TRAIN_S, "learnt"),
        (day.test, NEEDED_S, "judged"),
    ):
        known_s = np.isfinite(day.targets[bins]).sum(axis=0) * day.bin_width_s
        few = known_s < min(needed_s, known_s.max(initial=0.0))
        if few.any():
            each = ", ".join(f"{day.of.names[i]} ({known_s[i]:.1f} s)" for i in np.flatnonzero(few))
            yield f"too few labels to be {what}: {each}"


def _by_channels(base: ModelArtifact, new: ModelArtifact, channels: Channels) -> tuple[bool, str]:
    """Whether a model without scores is refused by its channels, or else not judged; and why."""
    if channels.reordered:
        return True, f"channels look reordered: {channels.reordered}; check the connectors"
    found = []
    read = [np.array([each.sd > 0 for each in model.features], np.bool_) for model in (base, new)]
    used = [np.array(model.channel_mask, np.bool_) for model in (base, new)]
    for what, (before, now) in (("channels fire", used), ("features vary", read)):
        alive, of = int((before & now).sum()), int(before.sum())
        if alive < MIN_ALIVE * of:
            return True, f"only {alive} of the base's {of} {what} today"
        if of:
            found.append(f"{alive} of the base's {of} {what} today")
    return False, f"no labels, so no scores; {', '.join(found)}"


def _comparable(rival: ModelArtifact, base: ModelArtifact, day: SplitSession) -> bool:
    """Whether both read the bins of this day and decode the same values in the same units."""

    def described(model: ModelArtifact) -> tuple[object, ...]:
        return model.bin_width_s, model.n_channels, [(each.name, each.units) for each in model.outputs]

    recorded = day.of.feature_names
    return described(rival) == described(base) and all(each.name in recorded for each in rival.features)


def _decoded(artifact: ModelArtifact, day: SplitSession) -> NDArray[np.float32]:
    """Values f4[test, D], decoded from the session's first bin on, with the model's own scale of features."""
    inputs = replace(day, of=reading(day.of, artifact.features)).inputs
    return decoded(artifact, inputs, day.starts)[day.test]


def _provenance(
    base: ModelArtifact,
    day: SplitSession,
    taken: Taken,
    verdict: Verdict | None,
    seed: int,
    notes: list[str],
) -> dict[str, Any]:
    scores: dict[str, Any] | None = None
    before = {"channel_labels": list(base.channel_labels)} if base.channel_labels else {}
    name = fresh_name(base, day.name)
    if verdict is not None:
        each = {"new": verdict.new, "incumbent": verdict.incumbent, "wiener": verdict.wiener}
        scores = {name: None if score is None else nullable(score) for name, score in each.items()}
        scores["bound"], scores["chance"] = nullable((verdict.bound, verdict.chance))
    return {
        "created": created_now(),
        "base": base.model_id,
        "rung": taken.rung,
        "calibration": taken.settings,
        "sessions": [*base.provenance.get("sessions", ()), day.provenance() | {"name": name}],
        "labels": day.of.labels,
        **(shared_labels([day.of.session]) or before),
        "seed": seed,
        "scores": scores,
        "notes": notes,
        "versions": numeric_versions(),
    }
