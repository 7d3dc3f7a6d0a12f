"""Jobs on the cores of this machine or of a cluster, each kept on disk as soon as it is done.

for item, outcome in run_jobs(do_job, items, workers=2):
    …

Here each job runs in a process of its own pool, so that one that is killed takes no other with it; it is
tried again. With a Dask scheduler's address the same goes to its workers, which read the same session files.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from rtdecode.errors import RtdecodeError

Item = TypeVar("Item")
Result = TypeVar("Result")

#: How often a job is begun before it is given up: what killed one worker may not kill the next.
TRIES = 3

#: A worker without work ends after so long, even if whoever started it was killed.
IDLE_S = 60.0

#: How long a Dask scheduler may take to answer.
CONNECT_S = 10.0


@dataclass(frozen=True)
class Failure:
    """A job that gave no result.

    Attributes:
        reason: one line.
    """

    reason: str


def run_jobs(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int | None = None,
    dask: str | None = None,
) -> Iterator[tuple[int, Result | Failure]]:
    """Do `work` for each item, side by side, and give what comes of it as soon as it is there.

    Args:
        work: a function of a module; it and its items travel to other processes.
        items: what to work on.
        workers: how many at a time; None for the cores here, or of the cluster.
        dask: address of a Dask scheduler, such as tcp://127.0.0.1:8786; None for this machine.

    Yields:
        (index of the item, its result or `Failure`), in the order in which they end.

    Raises:
        RtdecodeError: no scheduler answers there, or `dask` is not installed.
    """
    if not items:
        return
    if dask is not None:
        yield from _on_cluster(work, items, workers, dask)
        return
    n_workers = min(workers or cpu_count(), len(items))
    pools = _Pools(n_workers)
    try:
        with closing(
            Parallel(n_workers, backend="threading", return_as="generator_unordered")(
                delayed(pools.run)(work, index, item) for index, item in enumerate(items)
            )
        ) as outcomes:
            yield from outcomes
    finally:
        pools.end()


class _Pools:
    """A process of its own for each of the threads that wait for jobs."""

    def __init__(self, n: int) -> None:
        self._free: queue.SimpleQueue[ProcessPoolExecutor] = queue.SimpleQueue()
        self._all: list[ProcessPoolExecutor] = []
        self._ended = False
        for _ in range(n):
            self._free.put(self._new())

    def run(self, work: Callable[[Item], Result], index: int, item: Item) -> tuple[int, Result | Failure]:
        pool = self._free.get()
        reason = ""
        try:
            for _ in range(TRIES):
                if self._ended:
                    break
                try:
                    return index, pool.submit(guarded, work, item).result()
                except (BrokenExecutor, TerminatedWorkerError) as error:
                    reason = " ".join(str(error).split())[:160]
                    pool.shutdown(wait=False, kill_workers=True)
                    pool = self._new()
            return index, Failure(f"its process was killed {TRIES} times ({reason})")
        finally:
            self._free.put(pool)

    def end(self) -> None:
        self._ended = True
        for pool in self._all:
            pool.shutdown(wait=False, kill_workers=True)

    def _new(self) -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(1, timeout=IDLE_S)
        self._all.append(pool)
        return pool


def guarded(work: Callable[[Item], Result], item: Item) -> Result | Failure:
    """`work(item)`; a `Failure` where it raises what the person at the machine can mend."""
    try:
        return work(item)
    except RtdecodeError as error:
        return Failure(str(error))


def _indexed(work: Callable[[Item], Result], index: int, item: Item) -> tuple[int, Result | Failure]:
    return index, guarded(work, item)


def _on_cluster(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int | None, address: str
) -> Iterator[tuple[int, Result | Failure]]:
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise RtdecodeError(
            f"a cluster needs {error.name}, which is not installed",
            where="--dask",
            mend="pip install 'rtdecode[train]'",
        ) from None
    connect: Any = Client
    try:
        client = connect(address, timeout=CONNECT_S, set_as_default=True)
    except (OSError, TimeoutError, ValueError) as error:
        raise RtdecodeError(
            f"no Dask scheduler answers ({' '.join(str(error).split())[:100]})",
            where=f"--dask {address}",
            mend="start one with `dask scheduler`, and workers with `dask worker ADDRESS --nthreads 1`",
        ) from error
    with client, parallel_config(backend="dask", wait_for_workers_timeout=CONNECT_S):
        outcomes: Any = Parallel(workers or -1, return_as="generator_unordered")(
            delayed(_indexed)(work, index, item) for index, item in enumerate(items)
        )
        with closing(outcomes):
            yield from outcomes
