"""From a stream to checked spike events: layouts, sequence numbers, clock and reconnect.

For a source in one's own process, without LSL (docs/own-source.md):

    from rtdecode.ingest import Source, SourceLost, StreamDescription
"""

from rtdecode.ingest.signals.layouts import Layout, StreamDescription
from rtdecode.ingest.source import OpenSource, Source, SourceLost

__all__ = ["Layout", "OpenSource", "Source", "SourceLost", "StreamDescription"]
