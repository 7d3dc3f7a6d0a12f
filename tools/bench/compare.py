"""`rtdecode bench networks`: the costs of networks, and NeuroBench's figures of the same bins beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.inputs import binned_inputs, check_array, with_codes
from rtdecode.decode.load import open_model
from rtdecode.kernels.arrays import F4, Inputs
from rtdecode.models.kinds.registry import NETWORKS
from rtdecode.session.bins import behavior_at, stretches
from rtdecode.session.read import read_session
from rtdecode.tools.bench.costs import Costs, costs_of

_ZEROS = "NeuroBench leaves weights of 0 out"
_GATES = "NeuroBench adds 3 products a unit, by element"

#: By kind and figure, why NeuroBench's differs where it does.
REASONS = {
    "alignnet": {
        "effective_acs": _ZEROS,
        "effective_macs": f"{_ZEROS}, and the leak of leaky neurons, which is no synapse",
        "dense": "NeuroBench leaves that leak out, and sums a held frame once, as the engine does",
    },
    "gru": {
        "connection_sparsity": "NeuroBench counts biases too",
        "effective_acs": "NeuroBench takes a bin whose counts are 0 or 1 for spiking as a whole",
        "effective_macs": f"the rest of its bins; {_GATES}; {_ZEROS}",
        "dense": _GATES,
    },
}


@dataclass(frozen=True, eq=False)
class Workload:
    """A network and the bins that it decodes.

    Attributes:
        model: its name.
        artifact: of a kind of network.
        inputs: [T, n_inputs].
        targets: f4[T, D], behaviour; None without.
    """

    model: str
    artifact: ModelArtifact
    inputs: Inputs
    targets: F4 | None = None


@dataclass(frozen=True)
class Compared:
    """The costs of one network.

    Attributes:
        model, kind, bins: what was measured.
        ours: by the live engine.
        neurobench: by the package; None if that was not wanted.
        rectified: NeuroBench's activation sparsity with rectified units among the neurons; None without any.
    """

    model: str
    kind: str
    bins: int
    ours: Costs
    neurobench: Costs | None = None
    rectified: float | None = None


def compare(workload: Workload, neurobench: bool) -> Compared:
    """Measure a network.

    Raises:
        ModuleNotFoundError: neurobench is wanted and not installed.
        RtdecodeError: the model is not a network.
    """
    artifact, inputs, targets = workload.artifact, workload.inputs, workload.targets
    theirs, rectified = None, None
    if neurobench:
        from rtdecode.tools.bench.neurobench import neurobench_costs

        theirs, rectified = neurobench_costs(artifact, inputs, targets)
    ours = costs_of(artifact, inputs, targets)
    return Compared(workload.model, artifact.kind, len(inputs), ours, theirs, rectified)


def random_workloads(n_channels: int, rate_hz: float, bins: int) -> Iterator[Workload]:
    """Networks of `rtdecode fit`'s size, with random weights, on Poisson counts; torch makes them."""
    from rtdecode.tools.bench.networks import as_artifact, poisson_counts, random_networks

    for kind in NETWORKS:
        artifact = as_artifact(random_networks(kind, n_channels, rate_hz))
        yield Workload(f"random {kind}", artifact, poisson_counts(n_channels, rate_hz, bins))


def session_workload(model: Path, session: Path, bins: int) -> Workload:
    """A model on the first bins of a session, up to its first gap.

    Raises:
        RtdecodeError: a file cannot be read, or the model does not fit the session.
    """
    artifact, _ = open_model(model)
    recorded = read_session(session)
    check_array(recorded, artifact)
    binned, codes = binned_inputs(recorded, artifact, seed=0)
    rows = slice(0, min(bins, stretches(binned.starts, len(binned.counts))[0].stop))
    targets = np.full((rows.stop, len(artifact.outputs)), np.nan, np.float32)
    if recorded.behavior is not None:
        known = behavior_at(recorded.behavior, binned.t_bin[rows])
        for i, name in enumerate(artifact.output_names):
            if name in recorded.behavior.names:
                targets[:, i] = known[:, recorded.behavior.names.index(name)]
    return Workload(model.name, artifact, with_codes(binned.counts, codes)[rows], targets)
