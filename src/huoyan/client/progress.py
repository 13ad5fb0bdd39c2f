"""`huoyan.progress` and `huoyan.heartbeat`: say how far the current run is, and that it is alive."""

from huoyan.client import context
from huoyan.client.guard import warn
from huoyan.client.saying import Sayings
from huoyan.clock import SYSTEM_CLOCK
from huoyan.model.event import Progress

_SAYINGS = Sayings()


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
                done=None if done is None else float(done),
                total=None if total is None else float(total),
                note=_SAYINGS.text(note)[:500],
            )
        )
    except Exception as error:  # noqa: BLE001 - reporting progress must not stop it
        warn("progress", "huoyan: progress could not be reported", error=error)


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
