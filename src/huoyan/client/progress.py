"""`huoyan.progress` and `huoyan.heartbeat`: say how far the current run is, and that it is alive."""

import math

from huoyan.client import context
from huoyan.client.guard import warn
from huoyan.client.payload import PayloadLimits, represent
from huoyan.clock import SYSTEM_CLOCK
from huoyan.model.event import Progress

_NOTE = PayloadLimits(max_bytes=2048, max_string=500)


def progress(done: float | None = None, total: float | None = None, note: str = "") -> None:
    """Say how far the run is that this code executes in. Outside any run it does nothing; it never raises.

    Args:
        done: How much is done, in any unit.
        total: How much there is to do, in the same unit.
        note: What is being done, in a few words.
    """
    try:
        run = context.current()
        if run is None or run.on_progress is None:
            return
        run.on_progress(
            Progress(
                at=SYSTEM_CLOCK.now(),
                done=_finite(done),
                total=_finite(total),
                note=_words(note),
            )
        )
    except Exception as error:  # noqa: BLE001 - reporting progress must not stop it
        warn("progress", "huoyan: progress could not be reported", error=error)


def _finite(number: float | None) -> float | None:
    """Return a number, or None for one that is none: JSON has no word for it, and it says nothing."""
    known = None if number is None else float(number)
    return known if known is not None and math.isfinite(known) else None


def _words(note: object) -> str:
    """Return a note as text without running code of its class."""
    shown = represent(note, _NOTE)
    return shown if type(shown) is str else repr(shown)[:500]


def heartbeat(interval_s: float | None = None) -> None:
    """Say that the run is alive that this code executes in. Outside any run it does nothing; it never raises.

    Args:
        interval_s: Promise to say so at least this often from now on, in seconds. After three times as long without a
            word the run is shown as stuck. Default: the promise made before, if any. `progress` counts as a word.
    """
    try:
        run = context.current()
        if run is None or run.on_heartbeat is None:
            return
        run.on_heartbeat(None if interval_s is None or not 0 < float(interval_s) <= 1e7 else float(interval_s))
    except Exception as error:  # noqa: BLE001 - reporting that it is alive must not kill it
        warn("heartbeat", "huoyan: a heartbeat could not be reported", error=error)
