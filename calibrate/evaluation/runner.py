"""Jobs on the cores of this machine or of a cluster, each kept on disk as soon as it is done.

for item, outcome in run_jobs(do_job, items, workers=2):
    …

Here each job runs in a process of its own pool, so that one that is killed takes no other with it; it is
tried again. With a Dask scheduler's address the same goes to its workers, which read the same session files.
"""

from __future__ import annotations

import pickle
import queue
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from joblib import Parallel, cpu_count, delayed
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

#: How long one waits for the first worker of a cluster: they may stand in a queue of their own.
WORKERS_S = 600.0


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
) -> Generator[tuple[int, Result | Failure], None, None]:
    """Do `work` for each item, side by side, and give what comes of it as soon as it is there.

    Args:
        work: a function of a module; it and its items travel to other processes.
        items: what to work on.
        workers: how many at a time here; None for one on each core. A cluster does as many as it has threads.
        dask: address of a Dask scheduler, such as tcp://127.0.0.1:8786; None for this machine.

    Yields:
        (index of the item, its result or `Failure`), in the order in which they end. Closed, it gives up
        those that have not.

    Raises:
        RtdecodeError: no scheduler answers there, no worker comes to it in `WORKERS_S`, or they are of
            another rtdecode; or `dask` is not installed.
    """
    if not items:
        return
    if dask is not None:
        yield from _on_cluster(work, items, dask)
        return
    n_workers = min(workers or cpu_count(), len(items))
    pools = _Pools(n_workers)
    outcomes = Parallel(n_workers, backend="threading", return_as="generator_unordered")(
        delayed(pools.run)(work, index, item) for index, item in enumerate(items)
    )
    try:
        # Not `yield from`, which would close joblib's generator while its jobs still run.
        for outcome in outcomes:  # noqa: UP028
            yield outcome
    finally:
        pools.end()
        with warnings.catch_warnings():
            # That jobs under way are given up is what whoever stops listening wants.
            warnings.simplefilter("ignore", UserWarning)
            outcomes.close()


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
            pool.shutdown(wait=True, kill_workers=True)

    def _new(self) -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(1, timeout=IDLE_S)
        self._all.append(pool)
        return pool


def guarded(work: Callable[[Item], Result], item: Item) -> Result | Failure:
    """`work(item)`; a `Failure` where it raises what the person at the machine can fix."""
    try:
        return work(item)
    except RtdecodeError as error:
        return Failure(str(error))


def _on_cluster(
    work: Callable[[Item], Result], items: Sequence[Item], address: str
) -> Iterator[tuple[int, Result | Failure]]:
    """By Dask's own futures: joblib runs jobs in this process where a cluster has one core, and ends all of
    them when one has killed its workers."""
    try:
        from distributed import Client, as_completed
        from distributed.scheduler import KilledWorker
    except ModuleNotFoundError as error:
        raise RtdecodeError(
            f"a cluster needs {error.name}, which is not installed",
            where="--dask",
            fix="pip install 'rtdecode[train]'",
        ) from None
    connect: Any = Client
    in_turn: Any = as_completed
    try:
        client = connect(address, timeout=CONNECT_S, set_as_default=True)
    except (OSError, TimeoutError, ValueError) as error:
        raise RtdecodeError(
            f"no Dask scheduler answers ({' '.join(str(error).split())[:100]})",
            where=f"--dask {address}",
            fix="start one with `dask scheduler`, and workers with `dask worker ADDRESS --nthreads 1`",
        ) from error
    with client:
        _check_understood(client, pickle.dumps((work, items[0])), address)
        futures = {client.submit(guarded, work, item, pure=False): i for i, item in enumerate(items)}
        # Dask blames whatever waited on a worker that was killed; alone, each shows whether it is to blame.
        blamed: list[int] = []
        try:
            for future in in_turn(list(futures)):
                if isinstance(future.exception(), KilledWorker):
                    blamed.append(futures[future])
                else:
                    yield futures[future], future.result()
                future.release()
            for index in sorted(blamed):
                future = client.submit(guarded, work, items[index], pure=False)
                killed = isinstance(future.exception(), KilledWorker)
                yield index, Failure("it kills the workers of the cluster") if killed else future.result()
        finally:
            client.cancel(list(futures))


def _check_understood(client: Any, job: bytes, address: str) -> None:
    """A worker of another rtdecode may lack a job's module, and would die of it again and again."""
    not_understood = (ImportError, AttributeError, RuntimeError)
    try:
        client.run_on_scheduler(_understand, job)
        # Without one there is nobody to ask, and nobody to do the jobs.
        client.wait_for_workers(1, timeout=WORKERS_S)
        for answer in client.run(_understand, job, on_error="return").values():
            if isinstance(answer, not_understood):
                raise answer
    except TimeoutError:
        raise RtdecodeError(
            f"no worker has come to the scheduler in {WORKERS_S:g} s",
            where=f"--dask {address}",
            fix="start some with `dask worker ADDRESS --nthreads 1`, then the same command again",
        ) from None
    except not_understood as error:
        raise RtdecodeError(
            f"the cluster cannot read the jobs ({' '.join(str(error).split())[:100]})",
            where=f"--dask {address}",
            fix="start its scheduler and its workers with the same rtdecode as here",
        ) from error


def _understand(job: bytes) -> None:
    pickle.loads(job)  # noqa: S301 - whoever sends it may run what they like there anyway
