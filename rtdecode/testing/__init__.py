"""For tests of what you build with rtdecode: checks for a decoder, a daemon for a client.

    from rtdecode.testing import check_decoder

    def test_my_decoder_keeps_the_contract():
        check_decoder(lambda: MyDecoder(artifact))

`rtdecode.testing.fake_daemon` publishes cursors and answers requests without a decoder or a stream, and
`python -m rtdecode.testing.lsl_recorder NAME OUT.npz` records an LSL stream with pylsl alone.
"""

from rtdecode.testing.decoder_checks import check_decoder

__all__ = ["check_decoder"]
