"""The configuration of Prometheus: what to read, how often, which rules, whom to tell."""

from typing import Any

import yaml

from huoyan.deploy.settings import Monitoring
from huoyan.signals.promql import duration

_HEAD = """\
# Prometheus configuration for Huoyan, written by `huoyan deploy prometheus`.
# The rules it names are written by `huoyan deploy rules`.
"""


def prometheus(monitoring: Monitoring) -> str:
    """Write the configuration as YAML.

    Args:
        monitoring: What to read and whom to tell.

    Returns:
        The text of a `prometheus.yml`.
    """
    huoyan: dict[str, Any] = {"job_name": monitoring.job}
    if monitoring.scheme != "http":
        huoyan["scheme"] = monitoring.scheme
    if monitoring.token_file is not None:
        huoyan["authorization"] = {"type": "Bearer", "credentials_file": monitoring.token_file}
    huoyan["static_configs"] = [{"targets": list(monitoring.servers)}]
    jobs = [huoyan]
    for job, targets in (
        (monitoring.applications_job, monitoring.applications),
        (monitoring.nodes_job, monitoring.node_exporters),
    ):
        if targets:
            jobs.append({"job_name": job, "static_configs": [{"targets": list(targets)}]})
    document: dict[str, Any] = {
        "global": {
            "scrape_interval": duration(monitoring.scrape_interval_s),
            "evaluation_interval": duration(monitoring.evaluation_interval_s),
        },
    }
    if monitoring.rule_files:
        document["rule_files"] = list(monitoring.rule_files)
    if monitoring.alertmanagers:
        document["alerting"] = {
            "alertmanagers": [{"static_configs": [{"targets": list(monitoring.alertmanagers)}]}],
        }
    document["scrape_configs"] = jobs
    return _HEAD + yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
