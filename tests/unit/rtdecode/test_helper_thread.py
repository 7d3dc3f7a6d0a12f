"""A thread whose work fails is started again, and its fault is kept."""

from __future__ import annotations

import threading

from rtdecode.helper_thread import HelperThread


def test_work_that_fails_is_started_again_and_the_reason_kept() -> None:
    runs, ended = [], threading.Event()

    def work() -> None:
        runs.append(1)
        if len(runs) < 3:
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "a name that no one expected")
        ended.wait(5.0)

    helper = HelperThread("connect", work, restart_after_s=0.001)
    assert helper.join(0.0)
    helper.start()
    assert not helper.join(0.2)
    assert len(runs) == 3
    assert helper.fault.startswith("thread connect failed at ")
    assert "UnicodeDecodeError" in helper.fault
    ended.set()
    assert helper.join(5.0)


def test_work_that_ends_is_not_started_again() -> None:
    runs: list[int] = []
    helper = HelperThread("watch", lambda: runs.append(1), restart_after_s=0.001)
    helper.start()
    assert helper.join(5.0)
    assert (runs, helper.fault) == ([1], "")
