"""Several processes that train one network together, started by torchrun, and their communication.

with connected("auto") as ranks:              # ALONE where only one process was started
    names = ranks.gather(own_name)            # one from each rank, in rank order

They communicate over torch.distributed: gloo between CPUs, NCCL between GPUs.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from rtdecode.errors import RtdecodeError

T = TypeVar("T")

#: How long a rank waits for another, which may have longer sessions to read, or a slower disk.
TIMEOUT = timedelta(minutes=30)

#: Environment variables that torchrun sets.
TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Ranks:
    """This process among the processes of one training.

    Methods that communicate have to be called by all ranks, in the same order; with a single process they
    return their argument.

    Attributes:
        rank: number of this process, 0 to n − 1.
        n: number of processes.
        local_rank: its number on its machine, which is the number of its GPU.
    """

    rank: int = 0
    n: int = 1
    local_rank: int = 0

    @property
    def several(self) -> bool:
        """Whether there are other processes."""
        return self.n > 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that reports and writes, rank 0."""
        return self.rank == 0

    def gather(self, own: T) -> list[T]:
        """The values of all ranks, in rank order."""
        if not self.several:
            return [own]
        gathered: list[Any] = [None] * self.n
        dist.all_gather_object(gathered, own)
        return gathered

    def union(self, own: Mapping[int, T]) -> list[T]:
        """Numbered values, some from each rank, in the order of their numbers."""
        values = {number: value for part in self.gather(dict(own)) for number, value in part.items()}
        return [values[number] for number in sorted(values)]

    def from_lead(self, make: Callable[[], T]) -> T:
        """The result of `make` on rank 0, on all ranks; the others do not call it."""
        made = [make() if self.leads else None]
        if self.several:
            dist.broadcast_object_list(made, src=0)
        return made[0]  # type: ignore[return-value]

    def total(self, values: Tensor) -> Tensor:
        """Sums over ranks, in place, bit-identical on each; no gradient flows through them."""
        if self.several:
            dist.all_reduce(values)
        return values

    def in_mean(self, loss: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
        """This rank's part in the mean loss Σ massᵣ · lossᵣ / Σ massᵣ, and that mean.

        Args:
            loss: scalar, of this rank.
            mass: scalar, its weight, at least 0.

        Returns:
            A scalar whose gradient, averaged over ranks, is that of the mean; and the mean, without gradient.
        """
        if not self.several:
            return loss, loss.detach()
        own = torch.stack([mass.double() * loss.detach().double(), mass.double()])
        above, below = self.total(own).unbind()
        if not bool(below != 0):
            return loss, above
        return loss * (self.n * mass.double() / below).to(loss.dtype), above / below

    def parallel(self, module: nn.Module) -> nn.Module:
        """`module`, with its gradients averaged over ranks by the backward pass.

        Ranks start with the same weights: they were drawn with one seed.
        """
        if not self.several:
            return module
        with warnings.catch_warnings():
            # Newer releases have another name for `broadcast_buffers`, which older ones do not accept.
            warnings.simplefilter("ignore", FutureWarning)
            # A batch uses the read-ins of its own sessions only, and in most batches only the deployed path.
            return DistributedDataParallel(
                module, find_unused_parameters=True, broadcast_buffers=False, init_sync=False
            )

    def part(self, n_windows: int) -> int:
        """Number of a batch's windows that this rank draws; ranks differ by one at most."""
        return n_windows * (self.rank + 1) // self.n - n_windows * self.rank // self.n

    def seed(self, seed: int, step: int) -> int:
        """Random seed of this rank in a step, different for every rank and step."""
        return int(np.random.SeedSequence([seed, step, self.rank]).generate_state(1)[0])

    def device(self, device: torch.device) -> torch.device:
        """This rank's own GPU if `device` is a GPU without a number, else `device`."""
        if self.several and device == torch.device("cuda"):
            return torch.device("cuda", self.local_rank)
        return device


ALONE = Ranks()


@contextmanager
def connected(device: str = "auto") -> Iterator[Ranks]:
    """Connect to the other processes that torchrun started, if any, and disconnect at the end.

    If one rank fails inside the context, its error propagates, and the others exit silently
    (`SystemExit` of 1): they cannot continue without it.

    Args:
        device: to train on, see `Run`.

    Raises:
        RtdecodeError: the processes cannot connect.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or not all(name in os.environ for name in TORCHRUN):
        yield ALONE
        return
    if os.environ.get("LOCAL_WORLD_SIZE") == os.environ["WORLD_SIZE"]:
        # All are on one machine, so no other interface is needed.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    try:
        store, rank, n = next(iter(rendezvous("env://", timeout=TIMEOUT)))
        on_gpu = device != "cpu" and torch.cuda.is_available()
        ranks = Ranks(rank, n, int(os.environ.get("LOCAL_RANK", rank)))
        if on_gpu:
            torch.cuda.set_device(ranks.local_rank)
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
            store=PrefixStore("ranks", store),
            rank=rank,
            world_size=n,
            timeout=TIMEOUT,
        )
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise RtdecodeError(
            f"the processes cannot connect to each other ({reason})", fix="start them with torchrun"
        ) from error
    try:
        yield ranks
    except Exception:
        if not _first_to_fail(store):
            raise SystemExit(1) from None
        raise
    dist.destroy_process_group()


def _first_to_fail(store: Store) -> bool:
    try:
        return bool(store.add("failed", 1) == 1)
    except RuntimeError:
        # The store ended with the rank that failed.
        return False
