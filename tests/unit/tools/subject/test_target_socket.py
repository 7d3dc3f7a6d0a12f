"""The target and the state of the task for a monitor, over a real socket."""

from __future__ import annotations

import math

import pytest
import zmq

from rtdecode.errors import RtdecodeError
from rtdecode.monitor.task import TASK_TOPIC, read_task
from rtdecode.monitor.task import Task as TaskMessage
from rtdecode.tools.loopback import free_endpoint
from rtdecode.tools.simulator.task import Task, TaskSettings
from rtdecode.tools.subject.target_socket import EVERY_S, TargetSocket, message_of

pytestmark = pytest.mark.realtime

HERE = (0.0, 0.0)


def test_the_message_describes_the_screen() -> None:
    task = Task(TaskSettings(hold_s=0.2), 0)
    before = message_of(task, 0, 0, 3.0)
    assert before == TaskMessage(v=1, t=3.0, target=None, radius=0.0, state="between")
    assert (task.state, task.number) == ("between", -1)
    task.step(0.1, HERE)
    reaching = message_of(task, 0, 0, 4.0)
    assert reaching.target == task.shown(HERE).target
    assert (reaching.radius, reaching.state, reaching.trial) == (15.0, "reach", 0)
    task.step(0.2, reaching.target)
    assert message_of(task, 0, 0, 5.0).state == "hold"
    task.step(0.4, reaching.target)
    after = message_of(task, 1, 0, 6.0)
    assert (after.target, after.radius, after.state) == (None, 0.0, "between")
    assert (after.trial, after.success_rate) == (0, 1.0)
    assert message_of(task, 1, 3, 6.0).success_rate == 0.25


def test_messages_are_published_at_events_and_at_intervals() -> None:
    endpoint = free_endpoint()
    task, context = Task(TaskSettings(hold_s=0.1), 0), zmq.Context()
    try:
        with TargetSocket(endpoint) as socket, context.socket(zmq.SUB) as subscriber:
            subscriber.setsockopt(zmq.SUBSCRIBE, TASK_TOPIC)
            subscriber.connect(endpoint)
            now_s = 0.0
            while not subscriber.poll(20):
                now_s += EVERY_S
                assert now_s < 60, "no message was received"
                socket.publish(task, (), now_s)
            while subscriber.poll(200):
                subscriber.recv_multipart()
            socket.publish(task, (), now_s + 0.5 * EVERY_S)
            assert not subscriber.poll(100)
            events = task.step(0.0, HERE)
            socket.publish(task, events, now_s + 0.6 * EVERY_S)
            topic, payload = subscriber.recv_multipart()
            shown = read_task(payload)
            assert topic == TASK_TOPIC
            assert shown.target == task.shown(HERE).target
            assert math.hypot(*(shown.target or HERE)) == pytest.approx(80.0)
            assert shown.target is not None
            events = task.step(0.1, shown.target) + task.step(0.2, shown.target)
            socket.publish(task, events, now_s + 0.7 * EVERY_S)
            shown = read_task(subscriber.recv_multipart()[1])
            assert (shown.target, shown.success_rate) == (None, 1.0)
    finally:
        context.term()


def test_a_port_in_use_is_one_line() -> None:
    endpoint = free_endpoint()
    with (
        TargetSocket(endpoint),
        pytest.raises(RtdecodeError, match=r"cannot publish on tcp.*Address already"),
    ):
        TargetSocket(endpoint)
