"""The Kalman filter, event-driven: spikes add what they tell, the rest is work on small matrices.

Written out instead of LAPACK, whose order of additions differs between machines. Matrices that are
applied to a vector come transposed, so that the inner loops run along memory.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtdecode.kernels.jit import kernel

F8 = NDArray[np.float64]


@kernel
def gather(
    counts: NDArray[np.uint8],
    weight: NDArray[np.float32],
    offset: F8,
    good: NDArray[np.bool_],
    count_max: int,
    tally: NDArray[np.int64],
    active: NDArray[np.int64],
    told: F8,
) -> None:
    """told = offset + Σ_c weight[c] · min(counts[c], count_max), channel by channel.

    Args:
        counts: u1[C], spikes per channel in this bin.
        weight: f4[C, p]; a product with a count is exact in float64.
        offset: f8[p].
        good: bool[C]; a False channel is passed over.
        count_max: larger counts are clipped to it, and tallied.
        tally: i8[1], the counts clipped so far.
        active: i8[C], scratch.
        told: f8[p], overwritten.
    """
    # Written for every channel and kept for some: no branch to mispredict while most are silent.
    n_active = 0
    for channel in range(counts.shape[0]):
        active[n_active] = channel
        n_active += int((counts[channel] != 0) & good[channel])

    told[:] = offset
    for i in range(n_active):
        channel = active[i]
        count = int(counts[channel])
        if count > count_max:
            count = count_max
            tally[0] += 1
        n = float(count)
        row = weight[channel]
        for j in range(told.shape[0]):
            told[j] += n * row[j]


@kernel
def add_product(transposed: F8, vector: F8, sign: float, out: F8) -> None:
    """out += sign · M · vector, column after column, for the transpose f8[n, m] of M; sign is 1 or −1."""
    for j in range(vector.shape[0]):
        factor = sign * vector[j]
        row = transposed[j]
        for i in range(out.shape[0]):
            out[i] += factor * row[i]


@kernel
def read_out(readout: F8, bias: F8, mean: F8, out: NDArray[np.float32]) -> None:
    """out f4[D] = bias + readout · mean, state by state, rounded once."""
    for d in range(out.shape[0]):
        value = bias[d]
        for j in range(mean.shape[0]):
            value += readout[d, j] * mean[j]
        out[d] = value


@kernel
def cholesky(matrix: F8, lower: F8) -> None:
    """The Cholesky factor of a symmetric f8[p, p], of which only the lower half is read and written.

    A pivot that rounding has brought to 0 or below gives a column of zeros: that direction is certain.
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
    counts: NDArray[np.uint8],
    weight: NDArray[np.float32],
    offset: F8,
    good: NDArray[np.bool_],
    count_max: int,
    tally: NDArray[np.int64],
    active: NDArray[np.int64],
    transposed: F8,
    readout: F8,
    bias: F8,
    told: F8,
    mean: F8,
    out: NDArray[np.float32],
) -> None:
    """Decode one bin with the gain in `weight`: mean ← (offset + spikes · weight) + A · mean.

    Args:
        counts, weight, offset, good, count_max, tally, active: as in `gather`.
        transposed: the transpose of A, f8[p, p].
        readout, bias: f8[D, p] and f8[D].
        told: f8[p], scratch.
        mean: f8[p], the state.
        out: f4[D], overwritten.
    """
    gather(counts, weight, offset, good, count_max, tally, active, told)
    add_product(transposed, mean, 1.0, told)
    mean[:] = told
    read_out(readout, bias, mean, out)


@kernel
def steady_run(
    counts: NDArray[np.uint8],
    weight: NDArray[np.float32],
    offset: F8,
    good: NDArray[np.bool_],
    count_max: int,
    tally: NDArray[np.int64],
    active: NDArray[np.int64],
    transposed: F8,
    readout: F8,
    bias: F8,
    told: F8,
    mean: F8,
    out: NDArray[np.float32],
) -> None:
    """`steady_step` over the rows of counts u1[T, C] into the rows of out f4[T, D]."""
    for k in range(counts.shape[0]):
        steady_step(
            counts[k], weight, offset, good, count_max, tally, active, transposed, readout, bias, told, mean,
            out[k],
        )  # fmt: skip


@kernel
def running_step(
    counts: NDArray[np.uint8],
    weight: NDArray[np.float32],
    offset: F8,
    good: NDArray[np.bool_],
    count_max: int,
    tally: NDArray[np.int64],
    active: NDArray[np.int64],
    transposed: F8,
    readout: F8,
    bias: F8,
    told: F8,
    mean: F8,
    information: F8,
    covariance: F8,
    predicted: F8,
    out: NDArray[np.float32],
) -> None:
    """Decode one bin with this bin's covariance P (`update_covariance`).

        predicted = A · mean;   mean ← predicted + P (told − G · predicted)

    Args:
        counts, weight, offset, good, count_max, tally, active: as in `gather`, with Q⁻¹C for weights.
        transposed, readout, bias, told, mean, out: as in `steady_step`.
        information, covariance: G and P, f8[p, p], symmetric.
        predicted: f8[p], scratch.
    """
    gather(counts, weight, offset, good, count_max, tally, active, told)
    predicted[:] = 0.0
    add_product(transposed, mean, 1.0, predicted)
    add_product(information, predicted, -1.0, told)
    mean[:] = predicted
    add_product(covariance, told, 1.0, mean)
    read_out(readout, bias, mean, out)


@kernel
def running_run(
    counts: NDArray[np.uint8],
    weight: NDArray[np.float32],
    offset: F8,
    good: NDArray[np.bool_],
    count_max: int,
    tally: NDArray[np.int64],
    active: NDArray[np.int64],
    transposed: F8,
    readout: F8,
    bias: F8,
    told: F8,
    mean: F8,
    information: F8,
    covariance: F8,
    predicted: F8,
    out: NDArray[np.float32],
) -> None:
    """`running_step` over the rows of counts u1[T, C], with one covariance, into out f4[T, D]."""
    for k in range(counts.shape[0]):
        running_step(
            counts[k], weight, offset, good, count_max, tally, active, transposed, readout, bias, told, mean,
            information, covariance, predicted, out[k],
        )  # fmt: skip


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
