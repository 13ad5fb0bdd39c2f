"""Which alerts belong together."""

from collections.abc import Mapping

from huoyan.model.alert import labels_key
from huoyan.server.alert.rules import Rule


def group_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels that alerts of one incident share.

    Those of a task share service and task, whatever the queue or worker. Those of a queue share service and queue.
    Workers share their service: a machine takes all of its workers down together, and that is one incident.
    Sources share everything: a network that breaks takes all of them away, and that is one blindness.
    """
    if "task" in labels:
        shared: tuple[str, ...] = ("service", "task")
    elif "queue" in labels:
        shared = ("service", "queue")
    elif "service" in labels or "worker" in labels:
        shared = ("service",)
    elif "source" in labels:
        shared = ()
    else:
        shared = tuple(labels)
    return {name: labels[name] for name in shared if name in labels}


def group_key(rule: Rule, labels: Mapping[str, str]) -> str:
    """Return the key of the incident that an alert of this rule with these labels belongs to."""
    return f"{rule.group or rule.name}{labels_key(group_labels(labels))}"
