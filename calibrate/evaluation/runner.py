"""Run independent jobs on the cores of this machine or on a cluster, and yield each result when it is done.

for index, outcome in run_jobs(do_job, items, Workers(2)):
    …

On this machine each worker is a process of its own, so that a job whose process is killed stops no other; it
is tried again. With a Dask scheduler's address the same jobs go to its workers, which read the same session
files.
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

#: How often a job is started before it is given up: what killed one worker may not kill the next.
TRIES = 3

#: Seconds after which an idle worker ends, even if its parent process was killed.
IDLE_S = 60.0


@dataclass(frozen=True)
class Workers:
    """Where jobs run.

    Attributes:
        n: jobs at a time on this machine; None for one on each core, 0 for one after the other in this
            process. A cluster runs as many as it has threads.
        dask: address of a Dask scheduler, such as tcp://127.0.0.1:8786; None for this machine.
        connect_s: seconds a scheduler may take to answer.
        first_worker_s: seconds to wait for the first worker of a cluster, which may have a job queue of its
            own.
    """

    n: int | None = None
    dask: str | None = None
    connect_s: float = 10.0
    first_worker_s: float = 600.0


@dataclass(frozen=True)
class Failure:
    """A job without a result, and the reason on one line."""

    reason: str


def run_jobs(
    work: Callable[[Item], Result], items: Sequence[Item], workers: Workers | None = None
) -> Generator[tuple[int, Result | Failure], None, None]:
    """Call `work` for each item in parallel, and yield each result as soon as it is available.

    Args:
        work: a function of a module; it and its items are pickled and sent to other processes.
        items: its arguments, one a job.
        workers: where the jobs run; None for one on each core of this machine.

    Yields:
        (index of the item, its result or `Failure`), in the order in which jobs end. Closing the generator
        cancels the unfinished ones.

    Raises:
        RtdecodeError: no scheduler answers at the address, no worker joins it in time, its workers run
            another rtdecode, or Dask is not installed.
    """
    where = workers or Workers()
    if not items:
        return
    if where.dask is not None:
        yield from _on_cluster(work, items, where.dask, where)
        return
    if where.n == 0:
        for index, item in enumerate(items):
            yield index, guarded(work, item)
        return
    n_workers = min(where.n or cpu_count(), len(items))
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
            # joblib warns that running jobs are cancelled, which is what closing the generator asks for.
            warnings.simplefilter("ignore", UserWarning)
            outcomes.close()


class _Pools:
    """One process for each of the threads that wait for jobs."""

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
    """`work(item)`, or a `Failure` where it raises an RtdecodeError."""
    try:
        return work(item)
    except RtdecodeError as error:
        return Failure(str(error))


def _on_cluster(
    work: Callable[[Item], Result], items: Sequence[Item], address: str, limits: Workers
) -> Iterator[tuple[int, Result | Failure]]:
    """Run jobs as Dask futures.

    Not through joblib's Dask backend, which runs jobs in this process where a cluster has one core, and ends
    all of them when one kills its workers.
    """
    try:
        from distributed import Client, as_completed
        from distributed.scheduler import KilledWorker
    except ModuleNotFoundError as error:
        raise RtdecodeError(
            f"running on a cluster needs {error.name}, which is not installed",
            where="--dask",
            fix="pip install 'rtdecode[train]'",
        ) from None
    connect: Any = Client
    in_turn: Any = as_completed
    try:
        client = connect(address, timeout=limits.connect_s, set_as_default=True)
    except (OSError, TimeoutError, ValueError) as error:
        raise RtdecodeError(
            f"no Dask scheduler answers ({' '.join(str(error).split())[:100]})",
            where=f"--dask {address}",
            fix="start one with `dask scheduler`, and workers with `dask worker ADDRESS --nthreads 1`",
        ) from error
    with client:
        _check_importable(client, pickle.dumps((work, items[0])), limits)
        futures = {client.submit(guarded, work, item, pure=False): i for i, item in enumerate(items)}
        # Dask blames every job that waited on a killed worker: run again alone, only the cause fails again.
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


def _check_importable(client: Any, job: bytes, limits: Workers) -> None:
    """Unpickle a job on every worker: with another rtdecode one may lack its module, and die repeatedly."""
    not_importable = (ImportError, AttributeError, RuntimeError)
    try:
        client.run_on_scheduler(_unpickle, job)
        client.wait_for_workers(1, timeout=limits.first_worker_s)
        for answer in client.run(_unpickle, job, on_error="return").values():
            if isinstance(answer, not_importable):
                raise answer
    except TimeoutError:
        raise RtdecodeError(
            f"no worker has joined the scheduler in {limits.first_worker_s:g} s",
            where=f"--dask {limits.dask}",
            fix="start some with `dask worker ADDRESS --nthreads 1`, then the same command again",
        ) from None
    except not_importable as error:
        raise RtdecodeError(
            f"the cluster cannot read the jobs ({' '.join(str(error).split())[:100]})",
            where=f"--dask {limits.dask}",
            fix="start its scheduler and its workers with the same rtdecode as here",
        ) from error


def _unpickle(job: bytes) -> None:
    pickle.loads(job)  # noqa: S301 - who submits a job to a cluster may run any code there
