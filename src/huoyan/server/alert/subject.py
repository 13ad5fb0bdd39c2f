"""Name what the labels of an alert point at, English or Chinese.

Every label is said: two alerts of one rule that are told apart by a label must be told apart by whoever reads of them.
"""

from collections.abc import Iterator, Mapping

# What a thing is called beside its name. The first that the labels carry is the subject, the others stand behind it.
_NOUNS: dict[str, tuple[str, str]] = {
    "source": ("source", "来源"),
    "schedule": ("schedule", "定时任务"),
    "worker": ("worker", "工作进程"),
    "queue": ("queue", "队列"),
    "endpoint": ("", ""),
    "operation": ("operation", "操作"),
    "backlog": ("backlog", "积压"),
    "funnel": ("funnel", "漏斗"),
    "step": ("step", "步骤"),
    "table": ("table", "表"),
    "command": ("command", "命令"),
    "pool": ("pool", "连接池"),
    "host": ("host", "主机"),
    "service": ("service", "服务"),
}


def subject(labels: Mapping[str, str], language: str = "en") -> str:
    """Name what labels point at: `orders.take_payment`, `queue mail (shop)`, `backlog emails (mail, region=eu)`."""
    names = list(_names(labels, language))
    if not names:
        return "全部" if language == "zh" else "everything"
    if not _is_named(labels):
        return ", ".join(names)
    return f"{names[0]} ({', '.join(names[1:])})" if names[1:] else names[0]


def _is_named(labels: Mapping[str, str]) -> bool:
    return "queue" in labels or any(labels.get(name) for name in ("task", *_NOUNS))


def _names(labels: Mapping[str, str], language: str) -> Iterator[str]:
    """Give the name of each label, the one that is named most aptly first."""
    said = {"position"} if labels.get("step") else set()  # the number of a step says nothing beside its name
    task, service = labels.get("task", ""), labels.get("service", "")
    if task:
        yield _task(task, service)
        said |= {"task", "service"}
    first = not task
    for name, nouns in _NOUNS.items():
        value = labels.get(name, "")
        if name in said or not (value or (name == "queue" and name in labels)):
            continue
        # A service behind something else needs no noun: `queue mail (shop)`.
        noun = "" if name == "service" and not first else nouns[language == "zh"]
        yield _named(name, noun, value, language)
        first = False
        said.add(name)
    yield from (f"{name}={value}" for name, value in sorted(labels.items()) if value and name not in said)


def _task(task: str, service: str) -> str:
    if not service or task.startswith(f"{service}."):
        return task
    return f"{service}/{task}" if "." in task else f"{service}.{task}"


def _named(name: str, noun: str, value: str, language: str) -> str:
    if name == "queue" and not value:
        return "未知队列" if language == "zh" else "queue (unknown)"
    return f"{noun} {value}".strip()
