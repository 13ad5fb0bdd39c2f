"""The settings file of the demonstration's server: rules that answer within seconds, alerts by mail."""

import json

from huoyan.demo.ports import HOST

ALERTS_TO = "on-call@teahouse.example"

_SETTINGS = """\
# Written by `huoyan demo` at each start. A file like this is all that `huoyan serve` needs.

[server]
host = {host}
port = {port}
data_dir = "server"
log_level = "warning"
retention_days = 0.1

# People are told by mail. Here the demonstration's own relay takes it.
[[receivers]]
name = "on-call"
kind = "email"
host = {host}
port = {smtp_port}
security = "plain"
from = "Huoyan <huoyan@teahouse.example>"
to = [{alerts_to}]

# Windows are short, so that a visitor does not wait long. The defaults without [[rules]] look at longer ones.
[[rules]]
name = "task-failures"
signal = "task_failure_ratio"
op = ">"
threshold = 0.2
window = "20s"
min_samples = 5
level = "critical"
keep_firing = "5s"
annotations = {{ summary = "More than a fifth of the runs failed." }}

[[rules]]
name = "slow-inventory"
signal = "task_duration_p95"
where = {{ task = "orders.update_inventory" }}
op = ">"
threshold = 1.0
window = "20s"
min_samples = 5
level = "warning"
keep_firing = "5s"
annotations = {{ summary = "Inventory updates take more than a second." }}

[[rules]]
name = "queue-backlog"
signal = "queue_depth"
op = ">"
threshold = 100
for = "5s"
level = "warning"
keep_firing = "5s"
annotations = {{ summary = "More than 100 messages wait." }}

[[rules]]
name = "worker-down"
signal = "workers_down"
by = ["worker"]
op = ">"
threshold = 0
level = "critical"
keep_firing = "5s"
annotations = {{ summary = "The worker missed three reports in a row and did not say goodbye." }}

[[rules]]
name = "events-lost"
signal = "events_lost"
annotations = {{ summary = "Figures may be too low: events were lost on their way." }}
"""

_CELERY = """
# The Celery worker is watched through its broker; it would be seen without any change to its code.
[[celery]]
url = {url}
service = "orders"
"""


def settings_text(port: int, smtp_port: int, celery_url: str = "") -> str:
    """Return what goes into `huoyan.toml`.

    Args:
        port: Port of the page and the API.
        smtp_port: Port of the mail relay.
        celery_url: The broker of the Celery worker; empty for none.
    """
    text = _SETTINGS.format(
        host=_quoted(HOST),
        port=port,
        smtp_port=smtp_port,
        alerts_to=_quoted(ALERTS_TO),
    )
    return text + _CELERY.format(url=_quoted(celery_url)) if celery_url else text


def _quoted(text: str) -> str:
    # What JSON escapes in a text, TOML escapes in the same way.
    return json.dumps(text, ensure_ascii=False)
