"""Mail over SMTP, through Apprise."""

from huoyan.server.notify.channels.email.mail import MailChannel, channel

__all__ = ["MailChannel", "channel"]
