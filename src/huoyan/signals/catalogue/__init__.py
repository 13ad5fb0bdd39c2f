"""Every signal Huoyan knows, one file for each subject. To add one, declare it there: everything else follows."""

from huoyan.signals.catalogue.business import BUSINESS_SIGNALS
from huoyan.signals.catalogue.dependency import DEPENDENCY_SIGNALS
from huoyan.signals.catalogue.http import HTTP_SIGNALS
from huoyan.signals.catalogue.process import PROCESS_SIGNALS
from huoyan.signals.catalogue.queue import QUEUE_SIGNALS
from huoyan.signals.catalogue.schedule import SCHEDULE_SIGNALS
from huoyan.signals.catalogue.self import SELF_SIGNALS
from huoyan.signals.catalogue.task import TASK_SIGNALS
from huoyan.signals.catalogue.worker import WORKER_SIGNALS
from huoyan.signals.spec import Signal

CATALOGUE: dict[str, Signal] = {
    signal.id: signal
    for signal in (
        *TASK_SIGNALS,
        *QUEUE_SIGNALS,
        *WORKER_SIGNALS,
        *SCHEDULE_SIGNALS,
        *HTTP_SIGNALS,
        *DEPENDENCY_SIGNALS,
        *BUSINESS_SIGNALS,
        *PROCESS_SIGNALS,
        *SELF_SIGNALS,
    )
}
"""Every signal by its id, in the order in which they are shown."""

__all__ = ["CATALOGUE"]
