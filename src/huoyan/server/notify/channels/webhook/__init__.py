"""A POST of JSON to an address."""

from huoyan.server.notify.channels.webhook.post import WebhookChannel, channel

__all__ = ["WebhookChannel", "channel"]
