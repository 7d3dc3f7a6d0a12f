"""From behaviour to spikes: a session of simulated spikes, compared with the recorded ones.

simulation = simulate_session(read_session("day.h5"), read_artifact("base.safetensors"), seed=0)
write_session("simulated.h5", simulation.session)
simulation.comparison.pcc                                # f8[C], equation 19 of the paper
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.data.checks import output_columns, trained_on
from rtdecode.calibrate.data.metrics import firing_fraction, pcc, sample_counts
from rtdecode.calibrate.data.sessions import file_sha256
from rtdecode.calibrate.data.splits import is_complete, is_labelled
from rtdecode.calibrate.training.build import add_session
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F4, F8, U1, Mask
from rtdecode.models.simulation.rates import (
    check_session,
    folded_session,
    simulated_rates,
    simulating_networks,
)
from rtdecode.session.bins import BinnedSession, behavior_at, bin_session, spread_counts
from rtdecode.session.layout import Counts, Session

#: Attributes of a session that the one simulated from its behaviour keeps.
KEPT_ATTRS = ("subject", "date", "task", "license")

#: The name of the read-in for the session's recorded spikes.
OWN = "its own spikes"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Recorded spikes beside simulated ones, channel by channel, over the labelled bins.

    Attributes:
        pcc: f8[C], Pearson's correlation of simulated rates with recorded counts (the paper's equation 19);
            NaN where either does not vary.
        firing: f8[C], fraction of the bins in which the recorded channel fired (equation 20).
        rate_hz: f8[C], recorded.
    """

    pcc: F8
    firing: F8
    rate_hz: F8


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulated session, and how it compares with the recorded one.

    Attributes:
        session: to be written: /events and the same as /counts in the model's bins, with the recorded
            behaviour and trials.
        rates: f4[T, C], spikes per bin; NaN where behaviour is unknown.
        counts: u1[T, C], drawn from the rates; 0 where behaviour is unknown.
        labelled: bool[T], bins with behaviour.
        read_in: the session whose read-in scaled the channels, or `OWN`.
        firing, rate_hz: f8[C] of `counts` over the labelled bins.
        comparison: with the recorded spikes; None where there are none of as many channels.
        notes: warnings for its users, a sentence each.
    """

    session: Session
    rates: F4
    counts: U1
    labelled: Mask
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
    first bin on. Where it is unknown the networks get its mean, as in training, and nothing fires.
    Rates are in units of each channel's SD, which is in a read-in. A read-in needs no labels, only spikes.

    Args:
        session: with behaviour under the names and units of the model's outputs.
        artifact: an AlignNet that was trained to simulate.
        seed: random seed of the draws, and of the times inside the bins.
        read_in: name of a training session of the model, whose channel statistics are used; None for those of
            this session's spikes or, if its number of channels differs, of the session that the model was
            exported for.

    Raises:
        RtdecodeError: the model cannot simulate or has no session `read_in`; the session has no spikes, lacks
            an output or has it in other units, or has no behaviour in any bin; none of its channels fires.
    """
    where = str(session.path or session.name)
    nets = simulating_networks(artifact)
    behavior = session.behavior
    if behavior is None:
        raise RtdecodeError(
            "has no behaviour to simulate from", where=where, fix="record with --behavior NAME"
        )
    columns = output_columns(artifact.outputs, behavior.names, behavior.units, where)
    binned = bin_session(session, artifact.bin_width_s, seed)
    targets = behavior_at(behavior, binned.t_bin)[:, columns]
    labelled = is_complete(targets)
    if not labelled.any():
        raise RtdecodeError(
            "has no behaviour in any bin with spikes",
            where=where,
            fix="check that both were stamped by one clock",
        )
    comparable = session.n_channels == artifact.n_channels
    if read_in is not None:
        name = check_session(nets, read_in, "--rates-of")
    elif comparable:
        name = OWN
        add_session(nets, name, binned.counts, artifact.bin_width_s, where=where)
    else:
        name = folded_session(artifact)
    mean, sd = nets[0].output_mean.numpy(), nets[0].output_sd.numpy()
    z = np.where(labelled[:, np.newaxis], (targets - mean) / sd, 0.0).astype(np.float32)
    rates = np.where(
        labelled[:, np.newaxis], simulated_rates(nets, z, name, binned.starts), np.float32(np.nan)
    )
    draws, times = (int(each) for each in np.random.SeedSequence(seed).generate_state(2))
    counts = sample_counts(np.nan_to_num(rates), draws, artifact.count_max)
    # In the file, bins that were left out have no spikes.
    number = np.arange(len(counts)) if binned.number is None else binned.number
    every = np.zeros((int(number[-1]) + 1, artifact.n_channels), np.uint8)
    every[number] = counts
    drawn = Counts(every, artifact.bin_width_s, binned.origin_s)
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
            events=spread_counts(drawn, times),
            counts=drawn,
            behavior=session.behavior,
            trials=session.trials,
            observed=session.observed,
            attrs=attrs,
        ),
        rates=rates,
        counts=counts,
        labelled=labelled,
        read_in=name,
        firing=firing_fraction(counts[labelled]),
        rate_hz=_rate_hz(counts[labelled], artifact.bin_width_s),
        comparison=_compared(rates, binned, labelled) if comparable else None,
        notes=_notes(session, artifact, binned, targets),
    )


def _compared(rates: F4, binned: BinnedSession, labelled: Mask) -> Comparison:
    recorded = binned.counts[labelled]
    return Comparison(
        pcc(rates[labelled], recorded.astype(np.float32)),
        firing_fraction(recorded),
        _rate_hz(recorded, binned.bin_width_s),
    )


def _rate_hz(counts: U1, bin_width_s: float) -> F8:
    rate: F8 = counts.mean(axis=0, dtype=np.float64) / bin_width_s
    return rate


def _notes(session: Session, artifact: ModelArtifact, binned: BinnedSession, targets: F4) -> list[str]:
    notes = []
    missing = ~is_complete(targets)
    if missing.any():
        missing_s = float(missing.sum() * binned.bin_width_s)
        notes.append(f"behaviour is unknown for {missing_s:.1f} s: no spikes are simulated there")
    if (partly := missing & is_labelled(targets)).any():
        lacking = [
            name
            for name, known in zip(artifact.output_names, np.isfinite(targets[partly]).T, strict=True)
            if not known.all()
        ]
        notes[-1] += (
            f", since that needs all outputs ({', '.join(lacking)} unknown in {int(partly.sum())} bins)"
        )
    if session.path is not None and trained_on(artifact, file_sha256(session.path)):
        notes.append("the model was trained on this session: scores on a new one may be lower")
    if session.n_channels != artifact.n_channels:
        notes.append(
            f"{session.n_channels} channels were recorded and {artifact.n_channels} simulated: not compared"
        )
    elif binned.synthetic_times:
        notes.append(
            "the recorded counts are coarser than the model's bins and were distributed at random inside "
            "theirs for the comparison"
        )
    return notes
