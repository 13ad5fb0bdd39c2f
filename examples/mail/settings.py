"""Settings of the mail service, all from the environment."""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Where things are.

    Attributes:
        data_dir: Folder of the queue (MAIL_DATA_DIR).
        smtp_host: The relay that takes the mails (SMTP_HOST, default 127.0.0.1).
        smtp_port: Its port (SMTP_PORT, default 1025).
        sender: The sender of every mail (MAIL_SENDER, default shop@teahouse.example).
        all_in_one: Work off the queue inside the web process too (MAIL_ALL_IN_ONE, default 1).
    """

    data_dir: Path
    smtp_host: str
    smtp_port: int
    sender: str
    all_in_one: bool


@cache
def settings() -> Settings:
    """Return the settings, read once."""
    data_dir = Path(os.environ.get("MAIL_DATA_DIR", "huoyan-data/mail")).absolute()
    data_dir.mkdir(parents=True, exist_ok=True)
    return Settings(
        data_dir=data_dir,
        smtp_host=os.environ.get("SMTP_HOST", "127.0.0.1"),
        smtp_port=int(os.environ.get("SMTP_PORT", "1025")),
        sender=os.environ.get("MAIL_SENDER", "shop@teahouse.example"),
        all_in_one=os.environ.get("MAIL_ALL_IN_ONE", "1") == "1",
    )
