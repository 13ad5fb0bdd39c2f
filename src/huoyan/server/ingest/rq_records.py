"""What RQ keeps in Redis, read without executing or unpickling anything.

| key | what |
|---|---|
| `rq:queues`, `rq:workers` | sets of the keys of all queues and workers |
| `rq:queue:{queue}` | list of the ids of jobs that wait |
| `rq:wip:{queue}` | sorted set of `{job}:{execution}` that are being executed |
| `rq:finished:{queue}`, `rq:failed:…`, `rq:canceled:…`, `rq:scheduled:…`, `rq:deferred:…` | sorted sets of job ids |
| `rq:job:{job}` | hash of a job; `data` and `result` are pickles |
| `rq:results:{job}` | stream of the last ten outcomes; `return_value` is a pickle, `exc_string` zlib in base 64 |
| `rq:worker:{worker}` | hash of a worker, which expires some minutes after its last heartbeat |

Source: `rq.job`, `rq.results`, `rq.registry` and `rq.worker` of RQ 2.12, https://python-rq.org.
"""

import binascii
import json
import pickletools
import re
import zlib
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from huoyan.model.job_identity import RQ_EXECUTION_FIELD

JOB_FIELDS = (
    "status",
    "created_at",
    "enqueued_at",
    "started_at",
    "ended_at",
    "worker_name",
    "origin",
    "description",
    "ttl",
    "result_ttl",
    "dependency_ids",
    "dependency_id",
    "group_id",
    "number_of_retries",
    "repeats_left",
    RQ_EXECUTION_FIELD,
)
MAX_EXCEPTION_BYTES = 256 * 1024
MAX_DEPENDENCIES = 100
MAX_NAME_CHARACTERS = 300
_HEAD_BYTES = 4096
_FIRST_OPERATIONS = 8
_CALL = re.compile(r"([^\W\d]\w*(?:\.(?:[^\W\d]\w*|<\w+>))+)\(.*\)", re.DOTALL)
_FUNCTION = re.compile(r"[^\W\d][\w.<>]{0,299}")
_JSON_CALL = re.compile(rb'\[\s*"([^"\\]{1,300})"')


@dataclass(frozen=True, slots=True)
class Outcome:
    """One entry of a job's results: how an execution ended.

    Args:
        id: Of the entry; the time at which it was written is in there.
        kind: RQ's number: 1 success, 2 failure, 3 stopped, 4 retried, 5 out of retries.
        execution_id: RQ's name of the execution, empty where RQ is too old to say.
    """

    id: tuple[int, int]
    kind: int
    worker: str
    execution_id: str
    started_at: float | None
    ended_at: float | None
    exception: str

    @property
    def at(self) -> float:
        """When it was written, seconds since 1970 UTC."""
        return self.id[0] / 1000


@dataclass(slots=True)
class Job:
    """A job's hash; times in seconds since 1970 UTC.

    Args:
        score: Its place in the registry it was found in: when it is due, expires, or was cancelled.
        execution_id: RQ's name of the execution that goes on, empty when none does.
        missed: How often in a row it said that it was being executed and no execution was found.
        hook_execution: Identity of its last execution, where hooks of Huoyan are in the worker.
        outcomes: How executions ended, newest first.
    """

    id: str
    status: str
    created_at: float | None = None
    enqueued_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    worker: str = ""
    queue: str = ""
    function: str = ""
    ttl_s: int | None = None
    result_ttl_s: int | None = None
    dependencies: tuple[str, ...] = ()
    group: str = ""
    retries: int = 0
    repetitions_left: int | None = None
    hook_execution: str = ""
    score: float = 0.0
    execution_id: str = ""
    missed: int = 0
    exception: str = ""
    outcomes: list[Outcome] = field(default_factory=list)

    def become(self, later: "Job") -> None:
        """Take the state of the same job at a later moment, but not what was found out about it elsewhere."""
        self.status, self.worker, self.queue = later.status, later.worker, later.queue
        self.created_at, self.enqueued_at = later.created_at, later.enqueued_at
        self.started_at, self.ended_at = later.started_at, later.ended_at
        self.retries, self.repetitions_left = later.retries, later.repetitions_left
        self.hook_execution = later.hook_execution

    @property
    def created_at_ms(self) -> int | None:
        """When it was made, milliseconds since 1970 UTC."""
        return None if self.created_at is None else round(self.created_at * 1000)


def job_of(job_id: str, values: Sequence[bytes | None]) -> Job | None:
    """Return a job from the values of `JOB_FIELDS`, None when there is no such job."""
    texts = dict(zip(JOB_FIELDS, (text(value) for value in values), strict=True))
    if not texts["status"] and not texts["created_at"]:
        return None
    return Job(
        id=job_id,
        # Jobs of RQ before 2.4 may have no status until they are enqueued.
        status=name(texts["status"]) or "created",
        created_at=seconds(texts["created_at"]),
        enqueued_at=seconds(texts["enqueued_at"]),
        started_at=seconds(texts["started_at"]),
        ended_at=seconds(texts["ended_at"]),
        worker=name(texts["worker_name"]),
        queue=name(texts["origin"]),
        function=function_of_description(texts["description"]),
        ttl_s=_number(texts["ttl"]),
        result_ttl_s=_number(texts["result_ttl"]),
        dependencies=_dependencies(texts["dependency_ids"], texts["dependency_id"]),
        group=name(texts["group_id"]),
        retries=_number(texts["number_of_retries"]) or 0,
        repetitions_left=_number(texts["repeats_left"]),
        hook_execution=name(texts[RQ_EXECUTION_FIELD]),
    )


def outcome_of(entry_id: bytes, values: Mapping[bytes, bytes]) -> Outcome | None:
    """Return an entry of a job's results, None when it is no such thing."""
    milliseconds, _, number = text(entry_id).partition("-")
    kind = _number(text(values.get(b"type")))
    if not milliseconds.isdecimal() or kind is None:
        return None
    return Outcome(
        id=(int(milliseconds), int(number) if number.isdecimal() else 0),
        kind=kind,
        worker=name(values.get(b"worker_name")),
        execution_id=name(values.get(b"execution_id")),
        started_at=_float(text(values.get(b"execution_started_at"))),
        ended_at=_float(text(values.get(b"execution_ended_at"))),
        exception=_compressed_text(values.get(b"exc_string"), in_base64=True),
    )


def exception_of(value: bytes | None) -> str:
    """Return the text in a job's `exc_info`, at most 256 KiB of it."""
    return _compressed_text(value, in_base64=False)


def function_of_description(description: str) -> str:
    """Return the function that a description shows being called, `shop.tasks.send('x')`; empty for other descriptions.

    RQ writes this one unless a program gives its own.
    """
    match = _CALL.fullmatch(description)
    return match[1] if match is not None and len(match[1]) <= 300 else ""


def function_of_data(data: bytes) -> str:
    """Return the function that a job's `data` begins with; empty when that cannot be told.

    The data is (function, instance, args, kwargs) in the host's serializer. Of a pickle the first operations are looked
    at, as data: nothing is loaded. What comes later, arguments above all, is not even decompressed.
    """
    try:
        head = zlib.decompressobj().decompress(data, _HEAD_BYTES)
    except zlib.error:
        head = data[:_HEAD_BYTES]
    if match := _JSON_CALL.match(head):
        found = match[1].decode("utf-8", "replace")
        return found if _FUNCTION.fullmatch(found) else ""
    try:
        for operation, argument, _ in islice(pickletools.genops(head), _FIRST_OPERATIONS):
            if isinstance(argument, str) and "UNICODE" in operation.name:
                return argument if _FUNCTION.fullmatch(argument) else ""
    except Exception:  # noqa: BLE001 - whatever these bytes are, they are somebody else's
        return ""
    return ""


def text(value: object) -> str:
    """Return what Redis gave as text; bytes that are no UTF-8 are replaced."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").replace("\0", "�")
    return "" if value is None else str(value)


def name(value: object) -> str:
    """Return what Redis gave as a name of bounded length: an id, a queue, a worker."""
    return text(value)[:MAX_NAME_CHARACTERS]


def seconds(moment: str) -> float | None:
    """Return one of RQ's times as seconds since 1970 UTC; without a zone it is UTC."""
    if not moment:
        return None
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return (parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)).timestamp()


def _dependencies(several: str, one: str) -> tuple[str, ...]:
    try:
        ids = json.loads(several) if several else []
    except (ValueError, RecursionError):
        ids = []
    if not isinstance(ids, list):
        ids = []
    found = [name(each) for each in ids[:MAX_DEPENDENCIES] if isinstance(each, str) and each]
    return tuple(found) or ((one,) if one else ())


def _compressed_text(value: bytes | None, *, in_base64: bool) -> str:
    if not value:
        return ""
    try:
        packed = b64decode(value[: 4 * MAX_EXCEPTION_BYTES]) if in_base64 else value
        return text(zlib.decompressobj().decompress(packed, MAX_EXCEPTION_BYTES))
    except (zlib.error, binascii.Error, ValueError):
        return text(value[:MAX_EXCEPTION_BYTES])


def _number(written: str) -> int | None:
    try:
        return int(float(written))
    except (ValueError, OverflowError):
        return None


def _float(written: str) -> float | None:
    try:
        return float(written)
    except ValueError:
        return None
