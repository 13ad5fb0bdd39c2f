"""Settings of the orders application, all from the environment."""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Where things are.

    Attributes:
        data_dir: Folder of the databases and of the queue (ORDERS_DATA_DIR).
        database_url: Where orders are kept (ORDERS_DATABASE_URL), a PostgreSQL; empty: in an SQLite file.
        payment_url: The payment provider (PAYMENT_URL); empty: one inside the process plays its part.
        mail_url: The mail service (MAIL_URL); empty: confirmations are only logged.
        celery_url: The broker of the Celery worker (ORDERS_CELERY_URL); empty: there is none.
        all_in_one: Work off the queue and run the schedule inside the web process too (ORDERS_ALL_IN_ONE, default 1).
        report_interval_s: How often the sales report is made, in seconds (ORDERS_REPORT_INTERVAL_S, default 15; a shop
            would say 3600).
    """

    data_dir: Path
    database_url: str
    payment_url: str
    mail_url: str
    celery_url: str
    all_in_one: bool
    report_interval_s: float


@cache
def settings() -> Settings:
    """Return the settings, read once."""
    data_dir = Path(os.environ.get("ORDERS_DATA_DIR", "huoyan-data/orders")).absolute()
    data_dir.mkdir(parents=True, exist_ok=True)
    return Settings(
        data_dir=data_dir,
        database_url=os.environ.get("ORDERS_DATABASE_URL", ""),
        payment_url=os.environ.get("PAYMENT_URL", "").rstrip("/"),
        mail_url=os.environ.get("MAIL_URL", "").rstrip("/"),
        celery_url=os.environ.get("ORDERS_CELERY_URL", ""),
        all_in_one=os.environ.get("ORDERS_ALL_IN_ONE", "1") == "1",
        report_interval_s=float(os.environ.get("ORDERS_REPORT_INTERVAL_S", "15")),
    )
