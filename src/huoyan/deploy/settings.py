"""What the generated configuration has to know about an installation."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Where Prometheus finds what it reads and whom it tells.

    Args:
        servers: `host:port` of each `huoyan serve`.
        applications: `host:port` of each application that shows its own `/metrics`.
        node_exporters: `host:port` of each node exporter; none by default.
        alertmanagers: `host:port` of each Alertmanager; none by default.
        rule_files: Where the generated rules are, seen from the Prometheus configuration.
        scrape_interval_s: How often metrics are read, in seconds.
        evaluation_interval_s: How often rules are evaluated, in seconds.
        token_file: File with the token of `huoyan serve`, seen from Prometheus; None where it asks for none.
        scheme: `http` or `https`, for the servers of Huoyan.
        job: Name of the job under which they are scraped.
        applications_job: Name of the job under which the applications are.
        nodes_job: Name of the job under which the node exporters are.
    """

    servers: tuple[str, ...] = ("127.0.0.1:8650",)
    applications: tuple[str, ...] = ()
    node_exporters: tuple[str, ...] = ()
    alertmanagers: tuple[str, ...] = ()
    rule_files: tuple[str, ...] = ("huoyan-rules.yml",)
    scrape_interval_s: float = 15.0
    evaluation_interval_s: float = 15.0
    token_file: str | None = None
    scheme: str = "http"
    job: str = "huoyan"
    applications_job: str = "applications"
    nodes_job: str = "node"
