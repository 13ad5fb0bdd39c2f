"""What a job says of itself, read without making RQ unpickle anything that it has not unpickled already."""

import sys
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Any

from huoyan.client.reporter import Reporter
from huoyan.model.event import Payload
from huoyan.model.job_identity import is_unique, run_id_of

_MAX_REMEMBERED = 10_000


class Lineage:
    """Which run is whose parent, as far as this process knows; bounded."""

    def __init__(self) -> None:
        self._run_ids: OrderedDict[str, str] = OrderedDict()
        self._roots: OrderedDict[str, str] = OrderedDict()

    def know(self, job: Any) -> None:
        """Remember the run of a job whose id does not tell it."""
        if not is_unique(job.id):
            _keep(self._run_ids, job.id, run_id(job))

    def started_by(self, run: str, root_id: str) -> None:
        """Remember the first run of the tree that `run` belongs to."""
        _keep(self._roots, run, root_id)

    def dependency(self, job: Any) -> str | None:
        """Return the run that a job waits for, the first one where there are several."""
        return next(iter(self.dependencies(job)), None)

    def dependencies(self, job: Any) -> list[str]:
        """Return all runs that a job waits for."""
        return [self._run_ids.get(each, each) for each in dependency_ids(job)]

    def root(self, run: str) -> str:
        """Return the first run of the tree of `run`."""
        return self._roots.get(run, run)


def run_id(job: Any) -> str:
    """Return the identity of the run that a job stands for now."""
    made_at = seconds(job.created_at)
    made_at_ms = None if made_at is None else round(made_at * 1000)
    return run_id_of(str(job.id), made_at_ms, getattr(job, "repeats_left", None))


def dependency_ids(job: Any) -> list[str]:
    """Return the ids of the jobs that a job waits for."""
    return [str(each) for each in getattr(job, "_dependency_ids", None) or ()]


def task_name(job: Any) -> str:
    """Return the name of the function, empty when RQ has not read the job's data."""
    name, instance = _evaluated(job, "_func_name"), _evaluated(job, "_instance")
    if not isinstance(name, str):
        return ""
    if instance is None:
        return name
    kind = type(instance)
    # A method: RQ keeps the object and the bare name. A callable object has no name but that of its class.
    return f"{kind.__module__}.{kind.__qualname__}" + ("" if name == "__call__" else f".{name}")


def call(job: Any, reporter: Reporter) -> tuple[Payload, Payload]:
    """Return arguments as they may leave the process; (None, None) when RQ has not read the job's data."""
    args, kwargs = _evaluated(job, "_args"), _evaluated(job, "_kwargs")
    if not isinstance(args, tuple | list) or not isinstance(kwargs, dict):
        return None, None
    return reporter.call(_function(job), args, kwargs)


def seconds(moment: object) -> float | None:
    """Return one of RQ's times in seconds since 1970; without a zone it is local, as for RQ."""
    return moment.timestamp() if isinstance(moment, datetime) else None


def _evaluated(job: Any, name: str) -> Any:
    """Return an attribute that RQ fills when it reads the job's data, None before that."""
    value = vars(job).get(name)
    # RQ's own mark for "not read yet" is a bare object().
    return None if type(value) is object else value


def _function(job: Any) -> Callable[..., Any] | None:
    """Find the function of a job without importing anything: a producer need not be able to."""
    name, instance = _evaluated(job, "_func_name"), _evaluated(job, "_instance")
    if not isinstance(name, str):
        return None
    if instance is not None:
        method: Any = getattr(type(instance), name, None)
        return method.__get__(instance) if hasattr(method, "__get__") else None
    module_name, attributes = name.rpartition(".")[0], [name.rpartition(".")[2]]
    while module_name and module_name not in sys.modules:
        module_name, _, outer = module_name.rpartition(".")
        attributes.insert(0, outer)
    found: Any = sys.modules.get(module_name)
    for attribute in attributes:
        found = getattr(found, attribute, None)
    return found if callable(found) else None


def _keep(records: OrderedDict[str, str], key: str, value: str) -> None:
    records[key] = value
    if len(records) > _MAX_REMEMBERED:
        records.popitem(last=False)
