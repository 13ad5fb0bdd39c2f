"""The reference pages of signals and metrics, written from their declarations.

`python -m huoyan.signals.reference docs/reference` writes them; with `--check` it only says which ones are out of date.
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import groupby, pairwise
from pathlib import Path

from huoyan.model.grid import DEFAULT_CLASSIC_BOUNDS_S, relative_error_bound
from huoyan.signals.catalogue import CATALOGUE
from huoyan.signals.metric import Endpoint, Metric, MetricKind
from huoyan.signals.metrics import METRICS
from huoyan.signals.promql import duration, number, promql, recording_rule_name
from huoyan.signals.spec import Signal, Unit

_WRITTEN = (
    "<!-- Written by `python -m huoyan.signals.reference docs/reference`; edit the declarations, not this page. -->"
)

_SECTIONS = {
    "tasks": "Tasks",
    "queues": "Queues",
    "workers": "Workers",
    "schedules": "Schedules",
    "http": "Web requests",
    "dependencies": "Dependencies",
    "business": "Business",
    "processes": "Processes and hosts",
    "self": "Huoyan itself",
}

_UNITS = {
    Unit.COUNT: "a number",
    Unit.PER_MINUTE: "per minute",
    Unit.RATIO: "a share from 0 to 1",
    Unit.SECONDS: "seconds",
    Unit.BYTES: "bytes",
    Unit.BOOLEAN: "1 or 0",
}

_SIGNALS_HEAD = """\
# Signals

A signal is a quantity declared once. Its value on the page, in the API, in alert rules, in Prometheus and in Grafana
comes from the one declaration in `huoyan/signals/catalogue`. Rules name signals by their id; `GET /api/v1/signals/{id}`
returns the value now and over time, for any window, filtered and told apart by any of the signal's labels.

A signal has no value (`null`) where nothing is known: a queue whose broker does not answer, a ratio of nothing, fewer
runs in the window than the minimum of samples. That is not the same as zero.
"""

_METRICS_HEAD = """\
# Metrics

What can be scraped, and what each name means. The help texts of `/metrics` are these.
"""

_ENDPOINTS = {
    Endpoint.SERVER: """\
## At `huoyan serve`

`GET /metrics`, in OpenMetrics or the plain text format, whichever the scraper prefers. An application that reports to
no server shows its own `huoyan_task_*` on its own page; one that does leaves them to the server, so that a run is
counted at one place. The process itself is described by `process_*`, as everywhere in Prometheus.
""",
    Endpoint.APPLICATION: """\
## In the application

On the metrics page of a web application that `huoyan.watch` looks at.
""",
    Endpoint.RESERVED: """\
## Reserved names

Nothing shows these in this version. The names keep the meaning given here, so that nobody uses them for another.
""",
}

_TYPES = {MetricKind.COUNTER: "counter", MetricKind.GAUGE: "gauge", MetricKind.DISTRIBUTION: "histogram"}


def signals_page() -> str:
    """Return the page about signals, Markdown."""
    parts = [_WRITTEN, _SIGNALS_HEAD, _overview(list(CATALOGUE.values()))]
    for section, found in groupby(CATALOGUE.values(), key=lambda signal: signal.panel.section):
        parts.append(f"## {_SECTIONS[section]}\n")
        parts.extend(_signal(signal) for signal in found)
    parts.append(_agreement())
    return "\n".join(parts)


def metrics_page() -> str:
    """Return the page about metrics, Markdown."""
    parts = [_WRITTEN, _METRICS_HEAD]
    for endpoint, head in _ENDPOINTS.items():
        parts.append(head)
        rows = [
            f"| `{metric.name}` | {_TYPES[metric.kind]} | {_exposed(metric)} | {metric.help} |"
            for metric in METRICS.values()
            if metric.endpoint is endpoint
        ]
        parts.append("\n".join(["| name | type | labels | meaning |", "|---|---|---|---|", *rows, ""]))
    parts.append(_rules_of_counting())
    return "\n".join(parts)


def _overview(signals: Sequence[Signal]) -> str:
    rows = [f"| [`{s.id}`](#{s.id}) | {s.title} | {s.title_zh} | {_UNITS[s.unit]} |" for s in signals]
    return "\n".join(["| id | name | 名称 | unit |", "|---|---|---|---|", *rows, ""])


def _signal(signal: Signal) -> str:
    window = "none, it has a value at each moment" if signal.window_s is None else duration(signal.window_s)
    samples = f"{signal.min_samples} in the window" if signal.min_samples else "none"
    return f"""\
### {signal.id}

**{signal.title}** · {signal.title_zh}. {signal.help}

{signal.help_zh}

- Unit: {_UNITS[signal.unit]}
- Told apart by: {_labels(signal.by)}; can be filtered by: {_labels(signal.labels)}
- Window: {window}
- Minimum of samples: {samples}
- Default thresholds: {_thresholds(signal)}
- In Prometheus: `{recording_rule_name(signal)}`

```promql
{promql(signal)}
```
"""


def _thresholds(signal: Signal) -> str:
    limits = signal.thresholds
    if limits is None:
        return "none"
    levels = [
        f"{level} {limits.op.value} {number(value)}"
        for level, value in (("warning", limits.warning), ("critical", limits.critical))
        if value is not None
    ]
    return ", ".join(levels) + (f", for {duration(limits.for_s)}" if limits.for_s else "")


def _exposed(metric: Metric) -> str:
    labels = _labels([label for label in metric.labels if label not in metric.folded])
    return f"{labels}; at a server also {_labels(metric.folded)}" if metric.folded else labels


def _labels(labels: Sequence[str]) -> str:
    return ", ".join(f"`{label}`" for label in labels) or "no label"


def _agreement() -> str:
    native = relative_error_bound(5)
    return f"""\
## How exactly Prometheus agrees

Both sides start from the same counts, so they differ only in what Prometheus can know from scrapes:

- Gauges and raw counters are equal.
- An increase over a window is exact in Huoyan. Prometheus knows what the counter grew by between its first and last
  scrape in the window, `n` in number, and multiplies that by up to `1 + 2.2 / (n - 1)` to reach the edges. What a
  counter grew by before its first scrape it does not see.
- A ratio of two increases is equal where both counters were scraped at the same times, because the multiplication
  cancels; it does not when one of them began at zero within the window and the other did not.
- A quantile in Huoyan comes from exponential buckets and is off by at most {native:.1%}. From the classic buckets of
  `/metrics` Prometheus knows no more than the bucket the value falls into; [Metrics](metrics.md) has their bounds.
- Where a run's state was corrected (lost, then found to have succeeded), Huoyan takes the first count back. A counter
  of Prometheus must not fall, so there it counts in both states.
"""


def _rules_of_counting() -> str:
    bounds = ", ".join(_seconds(bound) for bound in DEFAULT_CLASSIC_BOUNDS_S)
    factors = [upper / lower for lower, upper in pairwise(DEFAULT_CLASSIC_BOUNDS_S)]
    coarse, fine = max(factors), min(factors)
    states = ", ".join(f"`{state}`" for state in dict(METRICS["huoyan_task_runs_total"].closed)["state"])
    return f"""\
## How it is counted

- `huoyan_task_runs_total` grows by one when a run reaches a final state:
  {states}.
- `huoyan_task_duration_seconds` has one observation for each finished attempt whose duration is known; its `state` is
  how that attempt ended, so a run that was retried twice and then succeeded has three observations.
- `huoyan_task_retries_total` grows by one with each attempt that ended in a retry, `huoyan_task_failures_total` with
  each run that failed for good, `huoyan_task_duplicates_total` with each attempt that began after its run had
  succeeded.
- Counters begin at zero when the server starts. As soon as a task is known, its runs are shown for every state and its
  retries and duplicates, at zero: Prometheus cannot see the first increase of a series that did not exist before.
  Failures by exception cannot be shown beforehand; to alert on the first, use
  `huoyan_task_runs_total{{state="failed"}}`.
- Gauges are absent while they are unknown. The depth of a queue disappears when its broker does not answer; it does not
  become zero.
- A run without a queue has an empty `queue`, which Prometheus shows as no label.

## Classic buckets

Bounds in seconds: {bounds}.

They lie on the grid of the exponential histograms inside, so every count is exact. Neighbouring bounds differ by a
factor of {coarse:.3g}, between 0.06 s and 8 s of {fine:.3g}; a quantile that Prometheus computes from them is off by at
most that factor, and typically much less. Values above the last bound are reported as the last bound.
"""


def _seconds(bound: float) -> str:
    return f"{bound:.4g}"


PAGES = {"signals.md": signals_page, "metrics.md": metrics_page}
"""File name to the function that writes it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the pages; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m huoyan.signals.reference", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the pages")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is out of date")
    given = parser.parse_args(arguments)
    stale = []
    for name, page in PAGES.items():
        path = given.folder / name
        text = page()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path)
        if not given.check:
            given.folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for path in stale:
        print(f"{path}: {'out of date' if given.check else 'written'}", file=sys.stderr)
    return 1 if stale and given.check else 0


if __name__ == "__main__":
    sys.exit(main())
