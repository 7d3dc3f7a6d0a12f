"""The Kalman filter, event-driven: each spike adds its evidence, the rest is products of small matrices.

Written out instead of LAPACK, which adds in another order on another machine. Matrices that multiply a vector
are transposed, so that the inner loops run along memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtdecode.kernels.arrays import F4, F8, I8, U1, Inputs
from rtdecode.kernels.decoders.events import clipped, find_spiking
from rtdecode.kernels.jit import kernel


@kernel
def gather(limit: U1, tally: I8, weight: F4, offset: F8, active: I8, evidence: F8, counts: Inputs) -> None:
    """evidence f8[p] = offset + Σ_c weight[c] · min(counts[c], limit[c]), channel by channel.

    The other arguments are those of `steady_step`.
    """
    evidence[:] = offset
    for i in range(find_spiking(counts, limit, active)):
        n, row = clipped(counts[active[i]], limit[active[i]], tally), weight[active[i]]
        for j in range(evidence.shape[0]):
            evidence[j] += n * row[j]


@kernel
def add_product(transposed: F8, vector: F8, sign: float, out: F8) -> None:
    """out += sign · M · vector, column after column, for the transpose f8[n, m] of M; sign is 1 or −1."""
    for j in range(vector.shape[0]):
        factor = sign * vector[j]
        row = transposed[j]
        for i in range(out.shape[0]):
            out[i] += factor * row[i]


@kernel
def read_out(readout: F8, bias: F8, mean: F8, out: F4) -> None:
    """out f4[D] = bias + readout · mean, state by state, rounded once."""
    for d in range(out.shape[0]):
        value = bias[d]
        for j in range(mean.shape[0]):
            value += readout[d, j] * mean[j]
        out[d] = value


@kernel
def cholesky(matrix: F8, lower: F8) -> None:
    """The Cholesky factor of a symmetric f8[p, p], of which only the lower half is read and written.

    A pivot that rounding brings to 0 or below gives a column of zeros: that direction has no variance.
    """
    size = matrix.shape[0]
    for j in range(size):
        pivot = matrix[j, j]
        for k in range(j):
            pivot -= lower[j, k] * lower[j, k]
        root = np.sqrt(pivot) if pivot > 0.0 else 0.0
        lower[j, j] = root
        for i in range(j + 1, size):
            value = matrix[i, j]
            for k in range(j):
                value -= lower[i, k] * lower[j, k]
            lower[i, j] = value / root if root > 0.0 else 0.0


@kernel
def update_covariance(transposed: F8, process_noise: F8, information: F8, covariance: F8, work: F8) -> float:
    """One bin of the covariance, P ← ((A P Aᵀ + W)⁻¹ + G)⁻¹, without inverting a covariance.

    With A P Aᵀ + W = L Lᵀ and I + Lᵀ G L = N Nᵀ, the new P is Yᵀ Y where N Y = Lᵀ: exactly symmetric and
    never below zero, however often it is repeated. Rounding follows the order of the loops.

    Args:
        transposed: the transpose of A, f8[p, p].
        process_noise, information: W and G, f8[p, p], symmetric.
        covariance: P f8[p, p], symmetric, overwritten.
        work: f8[4, p, p], scratch.

    Returns:
        The largest change of an entry of P, as a part of the largest entry of the new one.
    """
    size = covariance.shape[0]
    product, square, lower, inner = work[0], work[1], work[2], work[3]
    product[:, :] = 0.0
    square[:, :] = process_noise
    for i in range(size):
        for k in range(size):
            for j in range(size):
                product[i, j] += transposed[k, i] * covariance[k, j]
        for k in range(size):
            for j in range(i + 1):
                square[i, j] += product[i, k] * transposed[k, j]
    cholesky(square, lower)

    product[:, :] = 0.0
    square[:, :] = 0.0
    for i in range(size):
        for k in range(size):
            for j in range(k + 1):
                product[i, j] += information[i, k] * lower[k, j]
    for i in range(size):
        for k in range(i, size):
            for j in range(i + 1):
                square[i, j] += lower[k, i] * product[k, j]
        square[i, i] += 1.0
    cholesky(square, inner)

    solved = product
    for i in range(size):
        for j in range(size):
            solved[i, j] = lower[j, i] if j >= i else 0.0
        for k in range(i):
            for j in range(size):
                solved[i, j] -= inner[i, k] * solved[k, j]
        for j in range(size):
            solved[i, j] /= inner[i, i]

    square[:, :] = 0.0
    largest, change = 0.0, 0.0
    for i in range(size):
        for k in range(size):
            for j in range(i + 1):
                square[i, j] += solved[k, i] * solved[k, j]
        for j in range(i + 1):
            value = square[i, j]
            largest = max(largest, abs(value))
            change = max(change, abs(value - covariance[i, j]))
            covariance[i, j] = value
            covariance[j, i] = value
    return change / largest if largest > 0.0 else 0.0


@kernel
def steady_step(
    limit: U1,
    tally: I8,
    weight: F4,
    offset: F8,
    active: I8,
    evidence: F8,
    transposed: F8,
    readout: F8,
    bias: F8,
    mean: F8,
    counts: Inputs,
    out: F4,
) -> None:
    """Decode counts u1[C] of one bin into out f4[D]: mean ← (offset + spikes · weight) + A · mean.

    Args:
        limit: u1[C], the most that a channel counts, more is clipped and counted; 0 passes it over.
        tally: i8[N_TALLIES].
        weight: f4[C, p], the gain; a product with a count is exact in float64.
        offset: f8[p].
        active, evidence: i8[C] and f8[p], scratch.
        transposed: the transpose of A, f8[p, p].
        readout, bias: f8[D, p] and f8[D].
        mean: f8[p], the state.
    """
    gather(limit, tally, weight, offset, active, evidence, counts)
    add_product(transposed, mean, 1.0, evidence)
    mean[:] = evidence
    read_out(readout, bias, mean, out)


@kernel
def steady_run(arrays: tuple[Any, ...], counts: Inputs, out: F4) -> None:
    """`steady_step` over the rows of counts u1[T, C] into the rows of out f4[T, D]."""
    for k in range(counts.shape[0]):
        steady_step(*(*arrays, counts[k], out[k]))


@kernel
def running_step(
    limit: U1,
    tally: I8,
    weight: F4,
    offset: F8,
    active: I8,
    evidence: F8,
    transposed: F8,
    readout: F8,
    bias: F8,
    mean: F8,
    information: F8,
    covariance: F8,
    predicted: F8,
    counts: Inputs,
    out: F4,
) -> None:
    """Decode counts u1[C] of one bin into out f4[D] with this bin's covariance P.

        predicted = A · mean;   mean ← predicted + P (evidence − G · predicted)

    Args:
        weight: f4[C, p], Q⁻¹C; the others up to `mean` are those of `steady_step`.
        information, covariance: G and P, f8[p, p], symmetric; P is of this bin (`update_covariance`).
        predicted: f8[p], scratch.
    """
    gather(limit, tally, weight, offset, active, evidence, counts)
    predicted[:] = 0.0
    add_product(transposed, mean, 1.0, predicted)
    add_product(information, predicted, -1.0, evidence)
    mean[:] = predicted
    add_product(covariance, evidence, 1.0, mean)
    read_out(readout, bias, mean, out)


@kernel
def running_run(arrays: tuple[Any, ...], counts: Inputs, out: F4) -> None:
    """`running_step` over the rows of counts u1[T, C], with one covariance, into out f4[T, D]."""
    for k in range(counts.shape[0]):
        running_step(*(*arrays, counts[k], out[k]))


@kernel
def recur(transition: F8, driven: F8, states: F8) -> None:
    """states[k] = transition · states[k−1] + driven[k], from zero: f8[p, p] and twice f8[T, p]."""
    size = transition.shape[0]
    for k in range(driven.shape[0]):
        for i in range(size):
            value = driven[k, i]
            if k > 0:
                for j in range(size):
                    value += transition[i, j] * states[k - 1, j]
            states[k, i] = value
