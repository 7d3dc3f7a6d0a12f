"""From behaviour to spikes: a session whose spikes a model made up, and how like the recorded ones they are.

made = simulate_session(read_session("day.h5"), read_artifact("base.safetensors"), seed=0)
write_session("simulated.h5", made.session)
made.comparison.pcc                                # f8[C], equation 19 of the paper
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact, Output
from rtdecode.calibrate.data.metrics import pcc
from rtdecode.calibrate.data.sessions import file_sha256
from rtdecode.calibrate.data.spike_metrics import firing_fraction, sample_counts
from rtdecode.calibrate.training.build import add_session
from rtdecode.errors import RtdecodeError
from rtdecode.models.simulation.rates import (
    check_session,
    folded_session,
    simulated_rates,
    simulating_networks,
)
from rtdecode.session.bins import BinnedSession, behavior_at, bin_session, spread_counts
from rtdecode.session.layout import Behavior, Counts, Session

F8 = NDArray[np.float64]

#: What of a session's attributes is as true of one simulated from its behaviour.
KEPT_ATTRS = ("subject", "date", "task", "license")

#: The name of a read-in that is taken from the session itself.
OWN = "its own spikes"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Recorded spikes beside simulated ones, channel by channel, over the bins of known behaviour.

    Attributes:
        pcc: f8[C], Pearson's correlation of simulated rates with recorded counts (the paper's equation 19);
            NaN where either does not vary.
        firing: f8[C], part of the bins in which the channel fired as recorded (equation 20).
        rate_hz: f8[C], as recorded.
    """

    pcc: F8
    firing: F8
    rate_hz: F8


@dataclass(frozen=True, eq=False)
class Simulation:
    """What came of it.

    Attributes:
        session: to be written: /events and the same as /counts in the model's bins, and behaviour and trials
            as they were.
        rates: f4[T, C], spikes per bin; NaN where behaviour is unknown.
        counts: u1[T, C], drawn from the rates; 0 where behaviour is unknown.
        known: bool[T].
        read_in: the session whose read-in scaled the channels, or `OWN`.
        firing, rate_hz: f8[C] of `counts` over the known bins.
        comparison: with the recorded spikes; None where there are none of as many channels.
        notes: what someone who uses it must know, a sentence each.
    """

    session: Session
    rates: NDArray[np.float32]
    counts: NDArray[np.uint8]
    known: NDArray[np.bool_]
    read_in: str
    firing: F8
    rate_hz: F8
    comparison: Comparison | None
    notes: list[str]


def simulate_session(
    session: Session, artifact: ModelArtifact, *, seed: int = 0, read_in: str | None = None
) -> Simulation:
    """Spikes for a session's behaviour: rates, counts drawn from them, and events inside the counts' bins.

    The behaviour at the end of each bin, z-scored as in training, goes through the model from the session's
    first bin on. Where it is unknown the networks see its mean, as they did in training, and nothing fires.
    Rates come in units of each channel's SD, which a read-in knows. No label is needed for one, only spikes.

    Args:
        session: with behaviour under the names and units of the model's outputs.
        artifact: an AlignNet that has learnt to simulate.
        seed: of the draws, and of the times inside the bins.
        read_in: name of a session of the model; None for a read-in of the session's own spikes, or, where it
            has none of as many channels, for the session that the model decodes with.

    Raises:
        RtdecodeError: the model cannot simulate or does not know `read_in`; the session has no spikes, lacks
            an output or has it in other units, or none of its behaviour is known; none of its channels fires.
    """
    where = str(session.path or session.name)
    nets = simulating_networks(artifact)
    behavior, columns = output_columns(session, artifact.outputs)
    binned = bin_session(session, artifact.bin_width_s, seed)
    targets = behavior_at(behavior, binned.t_bin)[:, columns]
    known: NDArray[np.bool_] = np.asarray(np.isfinite(targets).all(axis=1))
    if not known.any():
        raise RtdecodeError(
            "its behaviour is known in no bin", where=where, fix="check that both were stamped by one clock"
        )
    comparable = session.n_channels == artifact.n_channels
    if read_in is not None:
        name = check_session(nets, read_in, "--session")
    elif comparable:
        name = OWN
        add_session(nets, name, binned.counts, artifact.bin_width_s, where=where)
    else:
        name = folded_session(artifact)
    mean, sd = nets[0].output_mean.numpy(), nets[0].output_sd.numpy()
    z = np.where(known[:, np.newaxis], (targets - mean) / sd, 0.0).astype(np.float32)
    rates = np.where(known[:, np.newaxis], simulated_rates(nets, z, name), np.float32(np.nan))
    draws, places = (int(each) for each in np.random.SeedSequence(seed).generate_state(2))
    counts = sample_counts(np.nan_to_num(rates), draws, artifact.count_max)
    drawn = Counts(counts, artifact.bin_width_s, binned.origin_s)
    origin = session.attrs.get("source", "")
    attrs = {key: session.attrs[key] for key in KEPT_ATTRS if key in session.attrs} | {
        "session_id": f"{session.name}-simulated",
        "source": f"simulated: spikes of model {artifact.model_id}, seed {seed}, rates by {name}, for the "
        f"behaviour of {session.name}" + (f" ({origin})" if origin else ""),
        "model": artifact.model_id,
        "seed": str(seed),
    }
    return Simulation(
        session=Session(
            n_channels=artifact.n_channels,
            events=spread_counts(drawn, places),
            counts=drawn,
            behavior=session.behavior,
            trials=session.trials,
            attrs=attrs,
        ),
        rates=rates,
        counts=counts,
        known=known,
        read_in=name,
        firing=firing_fraction(counts[known]),
        rate_hz=_rate_hz(counts[known], artifact.bin_width_s),
        comparison=_compared(rates, binned, known) if comparable else None,
        notes=_notes(session, artifact, binned, known),
    )


def output_columns(session: Session, outputs: Sequence[Output]) -> tuple[Behavior, list[int]]:
    """The session's behaviour, and which of its columns the outputs are, by name.

    Raises:
        RtdecodeError: there is no behaviour, it lacks an output, or has it in other units.
    """
    where, behavior = str(session.path or session.name), session.behavior
    if behavior is None:
        raise RtdecodeError(
            "has no behaviour to simulate from", where=where, fix="record with --behavior NAME"
        )
    columns = []
    for output in outputs:
        if output.name not in behavior.names:
            raise RtdecodeError(
                f"has no behaviour called {output.name!r}, which the model goes by, but "
                f"{', '.join(behavior.names)}",
                where=where,
                fix="use a model of these",
            )
        column = behavior.names.index(output.name)
        if behavior.units[column] != output.units:
            raise RtdecodeError(
                f"{output.name} is in {behavior.units[column]!r}, and in {output.units!r} in the model",
                where=where,
                fix=f"write it in {output.units}, or use a model of these units",
            )
        columns.append(column)
    return behavior, columns


def _compared(rates: NDArray[np.float32], binned: BinnedSession, known: NDArray[np.bool_]) -> Comparison:
    recorded = binned.counts[known]
    return Comparison(
        pcc(rates[known], recorded.astype(np.float32)),
        firing_fraction(recorded),
        _rate_hz(recorded, binned.bin_width_s),
    )


def _rate_hz(counts: NDArray[np.uint8], bin_width_s: float) -> F8:
    rate: F8 = counts.mean(axis=0, dtype=np.float64) / bin_width_s
    return rate


def _notes(
    session: Session, artifact: ModelArtifact, binned: BinnedSession, known: NDArray[np.bool_]
) -> list[str]:
    notes = []
    if not known.all():
        missing_s = float((~known).sum() * binned.bin_width_s)
        notes.append(f"behaviour is unknown for {missing_s:.1f} s: no spikes are simulated there")
    if _trained_on(artifact, session):
        notes.append("the model was trained on this very session: it says nothing about a new one")
    if session.n_channels != artifact.n_channels:
        notes.append(
            f"recorded are {session.n_channels} channels and simulated {artifact.n_channels}: not compared"
        )
    elif binned.synthetic_times:
        notes.append(
            "the recorded counts are coarser than the model's bins and were spread at random inside theirs "
            "to be compared"
        )
    return notes


def _trained_on(artifact: ModelArtifact, session: Session) -> bool:
    if session.path is None:
        return False
    seen = artifact.provenance.get("sessions", ())
    trained = {each.get("sha256") for each in seen if not each.get("validation")}
    return file_sha256(session.path) in trained
