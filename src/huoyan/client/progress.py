"""`huoyan.progress`: say how far the current run is."""

from huoyan.client import context
from huoyan.client.guard import warn
from huoyan.clock import SYSTEM_CLOCK
from huoyan.model.event import Progress


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
                note=str(note)[:500],
            )
        )
    except Exception as error:  # noqa: BLE001 - reporting progress must not stop it
        warn("progress", "huoyan: progress could not be reported", error=error)
