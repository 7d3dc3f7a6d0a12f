"""What a monitor is told of the task, over a real socket."""

from __future__ import annotations

import math

import pytest
import zmq

from rtdecode.errors import RtdecodeError
from rtdecode.monitor.task import TASK_TOPIC, read_task
from rtdecode.monitor.task import Task as TaskMessage
from rtdecode.tools.loopback import free_endpoint
from rtdecode.tools.simulator.task import Task, TaskSettings
from rtdecode.tools.subject.target_socket import EVERY_S, TaskSocket, message_of

pytestmark = pytest.mark.realtime

HERE = (0.0, 0.0)


def test_what_is_told_is_what_is_on_the_screen() -> None:
    task = Task(TaskSettings(hold_s=0.2, foreperiod_s=0.1), 0)
    before = message_of(task, 0, 0, 3.0)
    assert before == TaskMessage(v=1, t=3.0, target=None, radius=0.0, state="between")
    task.step(0.0, HERE)
    assert (task.state, task.number) == ("foreperiod", 0)
    task.step(0.1, HERE)
    reaching = message_of(task, 0, 0, 4.0)
    assert reaching.target == task.shown(HERE).target
    assert (reaching.radius, reaching.state, reaching.trial) == (15.0, "reach", 0)
    assert reaching.target is not None
    task.step(0.2, reaching.target)
    assert message_of(task, 0, 0, 5.0).state == "hold"
    task.step(0.4, reaching.target)
    after = message_of(task, 1, 0, 6.0)
    assert (after.target, after.radius, after.state) == (None, 0.0, "between")
    assert (after.trial, after.success_rate) == (0, 1.0)
    assert message_of(task, 1, 3, 6.0).success_rate == 0.25


def test_it_is_told_when_something_happens_and_now_and_then() -> None:
    endpoint = free_endpoint()
    task, context = Task(TaskSettings(hold_s=0.1), 0), zmq.Context()
    try:
        with TaskSocket(endpoint) as socket, context.socket(zmq.SUB) as heard:
            heard.setsockopt(zmq.SUBSCRIBE, TASK_TOPIC)
            heard.connect(endpoint)
            now_s = 0.0
            while not heard.poll(20):
                now_s += EVERY_S
                assert now_s < 60, "nothing was heard"
                socket.tell(task, (), now_s)
            while heard.poll(200):
                heard.recv_multipart()
            socket.tell(task, (), now_s + 0.5 * EVERY_S)
            assert not heard.poll(100)
            events = task.step(0.0, HERE)
            socket.tell(task, events, now_s + 0.6 * EVERY_S)
            topic, payload = heard.recv_multipart()
            told = read_task(payload)
            assert topic == TASK_TOPIC
            assert told is not None
            assert told.target == task.shown(HERE).target
            assert math.hypot(*(told.target or HERE)) == pytest.approx(80.0)
            assert told.target is not None
            events = task.step(0.1, told.target) + task.step(0.2, told.target)
            socket.tell(task, events, now_s + 0.7 * EVERY_S)
            told = read_task(heard.recv_multipart()[1])
            assert told is not None
            assert (told.target, told.success_rate) == (None, 1.0)
    finally:
        context.term()


def test_a_port_in_use_is_one_line() -> None:
    endpoint = free_endpoint()
    with TaskSocket(endpoint), pytest.raises(RtdecodeError, match=r"cannot publish on tcp.*Address already"):
        TaskSocket(endpoint)
