"""For tests of what you build with rtdecode.

    from rtdecode.client import CursorClient
    from rtdecode.testing import FakePublisher, check_decoder

    def test_my_decoder_keeps_the_contract():
        check_decoder(lambda: MyDecoder(model), model)

    def test_my_task_follows_the_cursor():
        with FakePublisher() as publisher, CursorClient(publisher.endpoint) as client:
            publisher.play(100)
            assert client.receive(timeout_s=1.0) is not None

`FakePublisher` and `FakeControl` are the sockets of a daemon without the daemon, and
`python -m rtdecode.testing.lsl_recorder NAME OUT.npz` records an LSL stream with pylsl alone.
"""

from rtdecode.testing.decoder_checks import check_decoder
from rtdecode.testing.fake_daemon import FakeControl, FakePublisher, accept_all

__all__ = ["FakeControl", "FakePublisher", "accept_all", "check_decoder"]
