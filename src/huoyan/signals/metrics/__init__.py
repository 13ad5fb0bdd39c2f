"""Every metric that Huoyan names: what it counts, its labels, its unit and its help text, said here and nowhere else.

The exporter takes the help text from here, signals refer to these objects (a misspelt metric does not import), and the
reference page is generated from them. `closed` labels have a fixed set of values: the exporter shows all of them, even
at zero, because Prometheus cannot see the first increase of a series that did not exist before it.
"""

from huoyan.signals.metric import Metric
from huoyan.signals.metrics import application, process, server, work

METRICS: dict[str, Metric] = {
    metric.name: metric
    for part in (work, server, application, process)
    for metric in vars(part).values()
    if isinstance(metric, Metric)
}
"""Every metric by its name, in the order of these pages."""
