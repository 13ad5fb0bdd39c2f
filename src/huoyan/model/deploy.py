"""Deploys: when a service began to run another version."""

from dataclasses import dataclass
from typing import Literal

Origin = Literal["reported", "marked"]
"""`reported`: a process that started with another version said so; `marked`: somebody, or a pipeline, set a mark."""


@dataclass(frozen=True, slots=True)
class Deploy:
    """A service began to run a version.

    Args:
        service: Its name; empty stands for all services.
        version: What runs since then: a tag, a commit.
        at: When the first process of that version started, or the time of the mark; seconds since 1970 UTC.
        note: What there is to say about it.
        by: Who marked it.
        before: The version that ran until then, empty when none is known.
        id: Its number in the store, 0 while it has none.
    """

    service: str
    version: str
    at: float
    origin: Origin = "reported"
    note: str = ""
    by: str = ""
    before: str = ""
    id: int = 0


def is_new(known: Deploy | None, version: str, started_at: float) -> bool:
    """Tell whether a process shows a deploy: it runs another version than was deployed last, and started after that.

    While an old version goes away it still reports; its processes started before, so they show nothing new. One that
    goes back to an older version is a deploy as well.

    Args:
        known: The latest deploy of its service, as far as one is known.
        version: What the process runs; empty shows nothing.
        started_at: When it started, seconds since 1970 UTC.
    """
    if not version:
        return False
    return known is None or (version != known.version and started_at > known.at)
