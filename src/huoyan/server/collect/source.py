"""What the signals read while the server runs: now, and the last hour by 5 seconds, over the store's minutes."""

from huoyan.server.store.source import StoreSource


class LiveSource(StoreSource):
    """The `Source` of the running server: slides by 5 seconds within the last hour, and knows the gauges of now."""
