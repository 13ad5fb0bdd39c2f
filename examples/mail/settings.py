"""Settings of the mail service, all from the environment."""

import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Where things are.

    Attributes:
        redis_url: The Redis that holds the queue (MAIL_REDIS_URL); empty: the queue is an SQLite file.
        data_dir: Folder of that file (MAIL_DATA_DIR).
        smtp_host: The relay that takes the mails (SMTP_HOST, default 127.0.0.1).
        smtp_port: Its port (SMTP_PORT, default 1025).
        smtp_username: Login at the relay (SMTP_USERNAME); empty: none, and no encryption either.
        smtp_password: The password that goes with it (SMTP_PASSWORD).
        smtp_certificate: File with the certificate that the relay is trusted by (SMTP_CERTIFICATE); empty: those that
            the system trusts.
        sender: The sender of every mail (MAIL_SENDER, default shop@teahouse.example).
        all_in_one: Work off the queue inside the web process too (MAIL_ALL_IN_ONE, default 1).
    """

    redis_url: str
    data_dir: Path
    smtp_host: str
    smtp_port: int
    smtp_username: str
    smtp_password: str = field(repr=False)
    smtp_certificate: str
    sender: str
    all_in_one: bool


@cache
def settings() -> Settings:
    """Return the settings, read once."""
    return Settings(
        redis_url=os.environ.get("MAIL_REDIS_URL", ""),
        data_dir=Path(os.environ.get("MAIL_DATA_DIR", "huoyan-data/mail")).absolute(),
        smtp_host=os.environ.get("SMTP_HOST", "127.0.0.1"),
        smtp_port=int(os.environ.get("SMTP_PORT", "1025")),
        smtp_username=os.environ.get("SMTP_USERNAME", ""),
        smtp_password=os.environ.get("SMTP_PASSWORD", ""),
        smtp_certificate=os.environ.get("SMTP_CERTIFICATE", ""),
        sender=os.environ.get("MAIL_SENDER", "shop@teahouse.example"),
        all_in_one=os.environ.get("MAIL_ALL_IN_ONE", "1") == "1",
    )
