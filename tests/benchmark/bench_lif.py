"""Forward and backward through LIF neurons: Numba kernels against spikingjelly, one core, one run.

    python tests/benchmark/bench_lif.py [N C T]

Each gets its own layout ([N, C, T] here, [T, N, C] there), so neither pays for a transposition.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import torch
from spikingjelly.activation_based import functional, neuron, surrogate

from rtdecode.models.nn.lif import LIF

ROUNDS = 30


def timed(*works: Callable[[], None]) -> list[float]:
    """Median seconds of each, taken in turns so that a busy moment hits all of them."""
    seconds: list[list[float]] = [[] for _ in works]
    for work in works:
        work()
    for _ in range(ROUNDS):
        for work, times in zip(works, seconds, strict=True):
            started = time.perf_counter()
            work()
            times.append(time.perf_counter() - started)
    return [statistics.median(times) for times in seconds]


def main(shape: tuple[int, int, int] = (32, 64, 100)) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    current, grad = 0.7 * torch.randn(shape) + 0.2, torch.randn(shape)
    ours, ours_in = LIF(), current.clone().requires_grad_()
    theirs = neuron.LIFNode(
        tau=2.0,
        decay_input=True,
        v_threshold=0.3,
        v_reset=0.0,
        surrogate_function=surrogate.ATan(),
        detach_reset=True,
        step_mode="m",
    )
    theirs_in = current.permute(2, 0, 1).contiguous().requires_grad_()
    theirs_grad = grad.permute(2, 0, 1).contiguous()

    def step_ours() -> None:
        ours_in.grad = None
        ours(ours_in).backward(grad)

    def step_theirs() -> None:
        theirs_in.grad = None
        functional.reset_net(theirs)
        theirs(theirs_in).backward(theirs_grad)

    fast, slow = timed(step_ours, step_theirs)
    print(f"LIF forward + backward on {list(shape)}, one core, median of {ROUNDS}")
    print(f"  kernels       {1e3 * fast:8.3f} ms")
    print(f"  spikingjelly  {1e3 * slow:8.3f} ms")
    print(f"  ratio         {slow / fast:8.1f}")


if __name__ == "__main__":
    n, c, t = map(int, sys.argv[1:]) if len(sys.argv) > 1 else (32, 64, 100)
    main((n, c, t))
