"""`rtdecode serve`: creates the parts, runs them, and stops them in order."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import zmq

from rtdecode.decode.load import open_model
from rtdecode.decode.stage import DecodeStage
from rtdecode.errors import RtdecodeError
from rtdecode.files import check_writable
from rtdecode.helper_thread import HelperThread
from rtdecode.ingest.beside.behavior import BehaviorReader
from rtdecode.ingest.beside.markers import MarkerReader
from rtdecode.ingest.signals.feed import make_array_feed, make_feed
from rtdecode.ingest.source import OpenSource
from rtdecode.model_store import find_model
from rtdecode.output.stage import OutputStage
from rtdecode.serve.commands import APPLY_TIMEOUT_S, Command
from rtdecode.serve.control import ControlServer
from rtdecode.serve.inputs import make_inputs
from rtdecode.serve.loop.decoding import Decoding, Sinks
from rtdecode.serve.loop.hot_loop import HotLoop
from rtdecode.serve.lsl_out import CursorOutlet
from rtdecode.serve.publisher import CursorPublisher
from rtdecode.serve.recording.beside import Beside
from rtdecode.serve.recording.buffers import RecordBuffers
from rtdecode.serve.recording.recorder import Recorder, contents_of
from rtdecode.serve.reporting.spikes import SPIKES_EVERY_S, SpikesReport
from rtdecode.serve.reporting.status import StatusReport
from rtdecode.serve.reporting.streams import ending_lines
from rtdecode.serve.settings import ServeSettings
from rtdecode.serve.swap import Swapper
from rtdecode.serve.waiting import Stop, await_streams
from rtdecode.serve.warmup import compile_kernels
from rtdecode.serve.watch import Watcher
from rtdecode.session.arrays import arrays_attrs
from rtdecode.session.contents import Contents, DecodedColumns, recording_attrs
from rtdecode.stream_models import advice_to_go_back

STATUS_EVERY_S = 1.0

#: Longest time that another thread may hold the interpreter while the hot loop waits for it.
SWITCH_INTERVAL_S = 0.00005

#: Longest time that a new file in the watched folder waits for a swap that was requested.
SWAP_WAIT_S = 60.0


class Daemon:
    """One run of the daemon.

    Args:
        settings: of this run.
        print_line: prints a line for the person at the rig.
        report: shows the status map, once a second; like `print_line` it must not wait.
        problems: of those who are shown it, for the warnings.
        sources: of one's own, by the name of their stream; the other streams are those of LSL.

    Raises:
        RtdecodeError: there is no model or a bad one, an endpoint is in use, or an output cannot be written.
    """

    def __init__(
        self,
        settings: ServeSettings,
        *,
        print_line: Callable[[str], None],
        report: Callable[[dict[str, Any]], None],
        problems: Callable[[], list[str]] = list,
        sources: Mapping[str, OpenSource] | None = None,
    ) -> None:
        import pylsl

        if settings.record is not None:
            check_writable(settings.record, overwrite=settings.overwrite)
        self.settings, self._print_line, self._report = settings, print_line, report
        model_path = find_model(settings.model, settings.stream)
        with advice_to_go_back(model_path, settings.stream):
            self.artifact, decoder = open_model(model_path)
        self._clock: Callable[[], float] = pylsl.local_clock
        self._stopping = threading.Event()
        self.stage = DecodeStage(decoder, self.artifact)
        self.output = self._make_output()
        self._inputs = make_inputs(settings, self.artifact, sources or {})
        self.connectors = [each.connector for each in self._inputs]
        self.beside = Beside(
            BehaviorReader(settings.behavior, settings.behavior_source_id) if settings.behavior else None,
            MarkerReader(settings.markers, settings.markers_source_id) if settings.markers else None,
            settings.trials,
        )
        n_axes = len(self.output.names) if self.output else 0
        power = settings.detection.power is not None
        self.buffers = (
            RecordBuffers(
                self.artifact.n_channels,
                len(self.artifact.outputs),
                n_axes,
                len(self.artifact.features),
                self.artifact.n_channels if power else 0,
            )
            if settings.record
            else None
        )
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.publisher = CursorPublisher(self._context, settings.bind, self.artifact.bin_width_s, self._clock)
        lsl_out = settings.lsl_out
        outlet = None if lsl_out is None else CursorOutlet(lsl_out, self.artifact, self.output)
        sinks = Sinks(self.publisher, self.output, outlet, self.buffers)
        self.decoding = Decoding(
            self.stage, self.artifact, model_path, sinks, self._clock, stream=settings.stream
        )
        self.loop = HotLoop(settings, self.decoding, self._inputs, self._clock)
        self.recorder = self._make_recorder()
        self.swapper = Swapper(lambda: self.decoding.artifact, self._apply, self.loop.commands.append)
        self.watcher = (
            Watcher(
                settings.watch, partial(self.swapper.swap, wait_s=SWAP_WAIT_S), self.decoding.notices.append
            )
            if settings.watch is not None
            else None
        )
        try:
            self.control = ControlServer(
                self._context,
                settings.control,
                lambda: self.status.build(),
                self._first_bin,
                self.swapper.swap,
            )
        except RtdecodeError:
            self.publisher.close()
            raise
        self.status = StatusReport(
            settings,
            self.loop,
            endpoints={"cursor": self.publisher.endpoint, "control": self.control.endpoint},
            recording=self.recorder.status if self.recorder else lambda: None,
            problems=self._problems,
        )
        self._shown_problems = problems
        self._reporter = HelperThread("report", self._report_forever)

    def run(self) -> None:
        """Serve until SIGINT, SIGTERM or a `stop` command; then stop all parts.

        Raises:
            RtdecodeError: the stream is not found within the timeout, or does not fit the model.
        """
        # They only set a flag: an exception raised while LLVM calls Python is lost, or ends in a crash.
        handlers = {
            number: signal.signal(number, lambda *_: setattr(self.loop, "stopping", True))
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            self._start()
            self.loop.run()
        except Stop:
            pass
        finally:
            for number in handlers:
                signal.signal(number, signal.SIG_IGN)
            self._shut_down()
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _start(self) -> None:
        for connector in self.connectors:
            connector.start()
        self.beside.start()
        self.control.start()
        self._reporter.start()
        if self.watcher is not None:
            self.watcher.start()
        self._print_line(
            f"model {self.artifact.model_id} ({self.artifact.kind}, {self.artifact.reads}, "
            f"{self.artifact.bin_width_s * 1e3:g} ms bins) from {self.decoding.path}"
        )
        self._print_line(f"cursor on {self.publisher.endpoint}, control on {self.control.endpoint}")
        timed = len(self._inputs) > 1 or self.settings.detection.power is not None
        compile_kernels(self.stage, self.artifact, make_array_feed if timed else make_feed)
        self._print_line(f"ready for stream {', '.join(self.settings.streams)}")
        timeout_s = self.settings.timeout_s
        await_streams(
            {each.asked: each.connector for each in self._inputs},
            self.beside.behavior,
            timeout_s,
            self._while_waiting,
            self._print_line,
        )
        if self.recorder is not None:
            self.recorder.start()
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        # What exists now is kept until the end: the collector need not walk it in mid-bin.
        gc.collect()
        gc.freeze()
        gc.disable()

    def _while_waiting(self) -> None:
        """Answer commands and publish status as the loop does, before it runs."""
        while self.loop.commands:
            command = self.loop.commands.popleft()
            if command.name in ("pause", "resume"):
                # The loop writes it to /log when it begins.
                for pump in self.loop.pumps:
                    pump.core.closing.paused = command.name == "pause"
                command.bin = 0
                command.done.set()
            else:
                self.loop.apply(command)
        if self.loop.pending_status is not None:
            encoded, self.loop.pending_status = self.loop.pending_status, None
            self.publisher.status(encoded)
        if self.loop.stopping:
            raise Stop

    def _problems(self) -> list[str]:
        """What is wrong beside the loop, for the warnings of the status map."""
        helpers = [self._reporter, self.control.thread]
        lines = [line for connector in self.connectors for line in connector.problems()]
        lines += [*self._shown_problems(), *self.beside.problems()]
        if self.watcher is not None:
            lines.append(self.watcher.error)
            helpers.append(self.watcher.thread)
        return [*lines, *(helper.fault for helper in helpers)]

    def _make_output(self) -> OutputStage | None:
        settings = self.settings
        if settings.output is None:
            return None
        where = f"{settings.config}: [output]" if settings.config else "[output]"
        return OutputStage(settings.output, self.artifact.outputs, self.artifact.bin_width_s, where)

    def _make_recorder(self) -> Recorder | None:
        path, buffers = self.settings.record, self.buffers
        if path is None or buffers is None:
            return None
        attrs = recording_attrs(path, "serve", self.settings.stream, datetime.now(UTC))
        attrs |= arrays_attrs(self.artifact.arrays)
        return Recorder(
            path,
            buffers=buffers,
            beside=self.beside,
            contents=partial(self._contents, buffers, attrs),
            overwrite=self.settings.overwrite,
        )

    def _contents(self, buffers: RecordBuffers, attrs: dict[str, str]) -> Contents | None:
        bin_end_s, output = self.loop.bin_end_s, self.output
        if bin_end_s is None:
            return None
        decoded = DecodedColumns(
            n_outputs=len(self.artifact.outputs),
            origin_s=bin_end_s(-1),
            models=tuple(buffers.models),
            names=self.artifact.output_names,
            out_names=output.names if output else (),
            out_units=output.units if output else (),
            out_settings=msgspec.to_builtins(output.settings) if output else {},
            n_features=len(self.artifact.features),
        )
        n_channels = self.artifact.n_channels
        return contents_of(
            [pump.feed for pump in self.loop.pumps],
            buffers,
            self.beside,
            n_channels=n_channels,
            attrs=attrs,
            decoded=decoded,
            labelled=all(array.channel_map is None for array in self.settings.arrays),
        )

    def _first_bin(self, name: str) -> int | None:
        command = Command(name)
        return command.bin if self._apply(command) else None

    def _apply(self, command: Command) -> bool:
        """Give a command to the loop; False if it was not carried out in time, and then it never will be."""
        self.loop.commands.append(command)
        if command.done.wait(APPLY_TIMEOUT_S):
            return True
        try:
            self.loop.commands.remove(command)
        except ValueError:
            # The loop has just taken it.
            return command.done.wait(APPLY_TIMEOUT_S)
        return False

    def _report_forever(self) -> None:
        encode = msgspec.msgpack.Encoder().encode
        spikes = SpikesReport(self.loop.ring)
        announced, status_at_s = "", time.monotonic() + STATUS_EVERY_S
        while not self._stopping.wait(SPIKES_EVERY_S):
            # A message that is still pending is never overwritten: its bins would be lost.
            if self.loop.pending_spikes is None:
                self.loop.pending_spikes = spikes.encoded()
            if time.monotonic() < status_at_s:
                continue
            status_at_s = time.monotonic() + STATUS_EVERY_S
            self.status.update_rates()
            status = self.status.build()
            self.loop.pending_status = encode(status)
            self._report(status)
            self._print_notices()
            error = self.recorder.error if self.recorder else ""
            if error and error != announced:
                announced = error
                self._print_line(f"NOT RECORDING: {error}")
            # The collector is off on the hot path; what little garbage the threads make is collected here.
            gc.collect(0)

    def _print_notices(self) -> None:
        while self.decoding.notices:
            self._print_line(self.decoding.notices.popleft())
        of_inputs = [line for each in self._inputs for line in each.rules.detection.news()]
        for line in (*self.beside.notices(), *of_inputs):
            self._print_line(line)

    def _shut_down(self) -> None:
        self._stopping.set()
        if self.watcher is not None:
            self.watcher.stop()
        for connector in self.connectors:
            connector.stop()
        self.beside.stop()
        self.publisher.close()
        self.control.stop()
        if self.recorder is not None:
            self.recorder.stop()
            if self.recorder.trials:
                self._print_line(f"trials: {self.recorder.trials}")
        self._print_notices()
        if self.status.counters()["received"]:
            self._report(self.status.build())
            for line in ending_lines(self.loop.pumps):
                self._print_line(line)
        self._context.term()
        sys.setswitchinterval(0.005)
        gc.enable()
