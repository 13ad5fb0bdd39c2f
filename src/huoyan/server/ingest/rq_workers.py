"""Which of RQ's workers are alive.

An idle worker writes a heartbeat every six minutes or so, and its hash outlives it by as much. But each worker listens
to a channel of its own for commands (`rq:pubsub:{worker}`), and Redis knows at once when a listener is gone.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import redis

from huoyan.model.event import ProcessReport
from huoyan.server.ingest.rq_records import seconds, text
from huoyan.server.ingest.rq_translate import FRAMEWORK

INTERVAL_S = 3.0
"""How often workers are looked at, which is what is promised for them."""

BY_HEARTBEAT_S = 160.0
"""A third of the time that a worker's hash outlives its last heartbeat, where Redis does not tell who listens."""

MAX_WORKERS = 2_000
_FIELDS = ("birth", "last_heartbeat", "queues", "pid", "hostname", "version", "current_job", "death")


class RqWorkers:
    """Reads the workers of one Redis.

    Args:
        client: Gives bytes, not text.
        service: Goes into the reports.
    """

    def __init__(self, client: "redis.Redis", service: str) -> None:
        self._client = client
        self._service = service
        self._heartbeats: dict[str, str] = {}
        self._seen: set[str] = set()
        self._reported: set[str] = set()

    def changed(self, names: Sequence[str]) -> bool:
        """Return whether workers came or went since they were looked at last."""
        return set(names[:MAX_WORKERS]) != self._seen

    def read(self, names: Sequence[str], executing: Iterable[str] = ()) -> list[ProcessReport]:
        """Return a report for each worker that is alive, and a last one for each that has said goodbye.

        Whoever was never reported is reported once, alive or not: what nobody has heard of cannot be missed, and nor
        can what it was executing.

        Args:
            names: Of the workers that are registered now.
            executing: Names of workers that are said to execute jobs, registered or not.

        Raises:
            redis.RedisError, OSError: The Redis does not answer.
        """
        names, executing = names[:MAX_WORKERS], set(executing)
        left = sorted(self._seen.difference(names))
        reports = [
            ProcessReport(worker=name, service=self._service, framework=FRAMEWORK, interval_s=INTERVAL_S)
            for name in sorted(executing.difference(names, left, self._reported))
        ]
        looked_at = [*names, *left]
        pipe: Any = self._client.pipeline(transaction=False)
        for name in looked_at:
            pipe.hmget(f"rq:worker:{name}", _FIELDS)
        if names:
            pipe.execute_command("PUBSUB", "NUMSUB", *(f"rq:pubsub:{name}" for name in names))
        answers = pipe.execute(raise_on_error=False)
        listening = _listening(answers[-1]) if names else {}
        for name, values in zip(looked_at, answers, strict=False):
            if isinstance(values, list):
                report = self._report(name, dict(zip(_FIELDS, map(text, values), strict=True)), listening)
                if report is not None:
                    reports.append(report)
        # Who has said goodbye is not asked for again.
        self._seen = set(names)
        self._reported = {report.worker for report in reports if not report.closing} | self._reported & (
            self._seen | executing
        )
        self._heartbeats = {name: at for name, at in self._heartbeats.items() if name in self._seen}
        return reports

    def _report(self, name: str, values: dict[str, str], listening: dict[str, bool] | None) -> ProcessReport | None:
        closing = bool(values["death"])
        interval_s = INTERVAL_S
        if not closing:
            if not values["birth"]:
                return None  # Its hash has expired.
            if listening is None:
                interval_s = BY_HEARTBEAT_S
                if self._heartbeats.get(name) == values["last_heartbeat"]:
                    return None
                self._heartbeats[name] = values["last_heartbeat"]
            elif not listening.get(name, False) and name in self._reported:
                return None
        pid = values["pid"]
        return ProcessReport(
            worker=name,
            service=self._service,
            framework=FRAMEWORK,
            host=values["hostname"],
            pid=int(pid) if pid.isdecimal() else 0,
            started_at=seconds(values["birth"]) or 0.0,
            interval_s=interval_s,
            active=1 if values["current_job"] else 0,
            queues=[queue for queue in values["queues"].split(",") if queue],
            closing=closing,
            version=f"rq {values['version']}" if values["version"] else "",
        )


def _listening(answer: Any) -> dict[str, bool] | None:
    """Return which workers listen to their channels, None when Redis would not say."""
    if not isinstance(answer, list):
        return None
    if answer and isinstance(answer[0], (list, tuple)):
        answer = [part for pair in answer for part in pair]
    channels = (text(channel).removeprefix("rq:pubsub:") for channel in answer[::2])
    return {name: int(count) > 0 for name, count in zip(channels, answer[1::2], strict=False)}
