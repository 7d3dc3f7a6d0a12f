"""Several processes that train one network together, as torchrun starts them: what they tell each other.

with joined("auto") as ranks:                 # ALONE where nothing started several
    names = ranks.gather(own_name)            # one of each rank, in their order

Everything that is told travels over torch.distributed: gloo between CPUs, NCCL between GPUs.
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

#: A rank waits so long for another, which may have longer sessions to read, or a slower disk.
PATIENCE = timedelta(minutes=30)

#: What torchrun tells each process that it starts.
CONTRACT = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Ranks:
    """The processes of one training, as one of them sees them.

    Methods that pass something between ranks have to be called by all of them, in the same order; of a
    single process they give back what they got.

    Attributes:
        rank: number of this process, 0 to n − 1.
        n: how many there are.
        local_rank: its number on its machine, which is that of its GPU.
    """

    rank: int = 0
    n: int = 1
    local_rank: int = 0

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return self.n > 1

    @property
    def leads(self) -> bool:
        """Whether this is the one that reports and writes."""
        return self.rank == 0

    def gather(self, own: T) -> list[T]:
        """What each rank gives, in the order of the ranks."""
        if not self.several:
            return [own]
        told: list[Any] = [None] * self.n
        dist.all_gather_object(told, own)
        return told

    def union(self, own: Mapping[int, T]) -> list[T]:
        """Values by number, of which each rank gives some, in the order of the numbers."""
        all_given = {number: value for part in self.gather(dict(own)) for number, value in part.items()}
        return [all_given[number] for number in sorted(all_given)]

    def from_lead(self, make: Callable[[], T]) -> T:
        """What `make` gives on rank 0; it is not called on the others."""
        told = [make() if self.leads else None]
        if self.several:
            dist.broadcast_object_list(told, src=0)
        return told[0]  # type: ignore[return-value]

    def total(self, values: Tensor) -> Tensor:
        """Sums over ranks, in place, the same to the bit on each; no gradient flows through them."""
        if self.several:
            dist.all_reduce(values)
        return values

    def in_mean(self, loss: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
        """This rank's part in the mean loss Σ massᵣ · lossᵣ / Σ massᵣ, and that mean.

        Args:
            loss: scalar, of this rank.
            mass: scalar, at least 0: how much it counts.

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

        Ranks begin with the same weights: they were drawn with one seed.
        """
        if not self.several:
            return module
        with warnings.catch_warnings():
            # Newer releases have another name for `broadcast_buffers`, which older ones do not know.
            warnings.simplefilter("ignore", FutureWarning)
            # Of a batch only its own sessions' read-ins are used, and mostly only the deployed path.
            return DistributedDataParallel(
                module, find_unused_parameters=True, broadcast_buffers=False, init_sync=False
            )

    def part(self, n_windows: int) -> int:
        """How many of a batch's windows are this rank's; they differ by one at most."""
        return n_windows * (self.rank + 1) // self.n - n_windows * self.rank // self.n

    def seed(self, seed: int, step: int) -> int:
        """Of what this rank draws at random in a step: no other rank's, and no other step's."""
        return int(np.random.SeedSequence([seed, step, self.rank]).generate_state(1)[0])

    def device(self, device: torch.device) -> torch.device:
        """This rank's own, where a GPU is asked for without its number."""
        if self.several and device == torch.device("cuda"):
            return torch.device("cuda", self.local_rank)
        return device


ALONE = Ranks()


@contextmanager
def joined(device: str = "auto") -> Iterator[Ranks]:
    """Find the other processes that torchrun started, if it did, and part from them at the end.

    If the work inside fails on one rank, its error goes on from here, and the others end without a word
    (`SystemExit` of 1): they can do nothing without it, and lose it as soon as its process ends.

    Args:
        device: to train on, as of `pretrain_sessions`.

    Raises:
        RtdecodeError: the others were not found.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or not all(name in os.environ for name in CONTRACT):
        yield ALONE
        return
    if os.environ.get("LOCAL_WORLD_SIZE") == os.environ["WORLD_SIZE"]:
        # All are on one machine, so nobody else needs to hear them.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    try:
        store, rank, n = next(iter(rendezvous("env://", timeout=PATIENCE)))
        on_gpu = device != "cpu" and torch.cuda.is_available()
        ranks = Ranks(rank, n, int(os.environ.get("LOCAL_RANK", rank)))
        if on_gpu:
            torch.cuda.set_device(ranks.local_rank)
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
            store=PrefixStore("ranks", store),
            rank=rank,
            world_size=n,
            timeout=PATIENCE,
        )
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise RtdecodeError(
            f"the processes did not find each other ({reason})", fix="start them with torchrun"
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
        # The store went with the rank that failed.
        return False
