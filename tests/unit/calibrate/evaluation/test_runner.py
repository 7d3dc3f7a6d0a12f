"""Jobs in parallel: each gives its result, and one that fails does not affect the others."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusters import cluster_of
from jobwork import killed_always, killed_once, square

from rtdecode.calibrate.evaluation.runner import TRIES, Failure, Workers, run_jobs
from rtdecode.errors import RtdecodeError


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with cluster_of() as address:
        yield address


@pytest.mark.parametrize("n", [2, 0])
def test_every_job_gives_its_result(n: int) -> None:
    assert dict(run_jobs(square, range(5), Workers(n))) == {i: i * i for i in range(5)}


def test_no_jobs_no_processes() -> None:
    assert list(run_jobs(square, [], Workers(2))) == []


@pytest.mark.parametrize("n", [2, 0])
def test_an_error_is_the_result_of_its_job_only(n: int) -> None:
    outcomes = dict(run_jobs(square, [12, 13, 14], Workers(n)))
    assert outcomes[0] == 144
    assert outcomes[2] == 196
    assert outcomes[1] == Failure("13: is unlucky. Fix: take another one")


def test_a_killed_worker_affects_its_own_job_only(tmp_path: Path) -> None:
    items = [(i, str(tmp_path)) for i in range(6)]
    assert dict(run_jobs(killed_once, items, Workers(2))) == {i: i for i in range(6)}
    tried = {i: len(list(tmp_path.glob(f"{i}.*"))) for i in range(6)}
    assert tried == {0: 1, 1: 1, 2: 2, 3: 1, 4: 1, 5: 1}


def test_a_job_that_kills_every_process_is_given_up() -> None:
    outcomes = dict(run_jobs(killed_always, range(4), Workers(2)))
    assert {i: outcomes[i] for i in (0, 1, 3)} == {0: 0, 1: 1, 3: 3}
    failure = outcomes[2]
    assert isinstance(failure, Failure)
    assert failure.reason.startswith(f"its process was killed {TRIES} times")


@pytest.mark.filterwarnings("error")
def test_closing_the_generator_ends_the_jobs() -> None:
    outcomes = run_jobs(square, range(50), Workers(2))
    next(outcomes)
    outcomes.close()


def test_a_cluster_gives_the_same(scheduler: str) -> None:
    outcomes = dict(run_jobs(square, [3, 13, 4], Workers(dask=scheduler)))
    assert outcomes == {0: 9, 1: Failure("13: is unlucky. Fix: take another one"), 2: 16}


def test_a_killed_worker_of_a_cluster_affects_its_own_job_only(scheduler: str, tmp_path: Path) -> None:
    items = [(i, str(tmp_path)) for i in range(6)]
    assert dict(run_jobs(killed_once, items, Workers(dask=scheduler))) == {i: i for i in range(6)}
    assert len(list(tmp_path.glob("2.*"))) >= 2


def test_a_job_that_kills_workers_of_a_cluster_is_given_up_alone(scheduler: str) -> None:
    outcomes = dict(run_jobs(killed_always, range(4), Workers(dask=scheduler)))
    assert outcomes.pop(2) == Failure("it kills the workers of the cluster")
    assert outcomes == {0: 0, 1: 1, 3: 3}


def test_a_cluster_without_a_module_of_the_job_is_refused_in_one_line(
    scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "newer.py").write_text("def work(number):\n    return number\n")
    monkeypatch.syspath_prepend(tmp_path)
    work = importlib.import_module("newer").work
    with pytest.raises(RtdecodeError, match=r"cannot read the jobs \(.*newer.*Fix: start its") as raised:
        list(run_jobs(work, [1, 2], Workers(dask=scheduler)))
    assert "\n" not in str(raised.value)


def test_no_scheduler_at_the_address_is_refused_in_one_line() -> None:
    with pytest.raises(RtdecodeError, match="no Dask scheduler answers") as raised:
        list(run_jobs(square, [1], Workers(dask="tcp://127.0.0.1:9", connect_s=0.5)))
    assert "\n" not in str(raised.value)


def test_a_cluster_without_workers_is_refused_in_one_line() -> None:
    with (
        cluster_of(0) as address,
        pytest.raises(RtdecodeError, match=r"no worker has joined .*Fix:") as raised,
    ):
        list(run_jobs(square, [1], Workers(dask=address, first_worker_s=0.2)))
    assert "\n" not in str(raised.value)
