"""Any service that Apprise knows, by its Apprise address."""

from huoyan.server.notify.channels.apprise_url.service import AppriseChannel, channel

__all__ = ["AppriseChannel", "channel"]
