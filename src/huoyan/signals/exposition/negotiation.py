"""Which of the formats of Prometheus a scraper gets, by its `Accept` header."""

from enum import StrEnum


class Format(StrEnum):
    """The formats offered; the value is the content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    """https://prometheus.io/docs/instrumenting/exposition_formats/"""
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    """https://prometheus.io/docs/specs/om/open_metrics_spec/"""
    PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
    """https://github.com/prometheus/client_model"""


# The first wins where a scraper likes several equally.
_ORDER = (Format.PROTOBUF, Format.OPENMETRICS, Format.TEXT)


def negotiate(accept: str | None) -> Format:
    """Choose the format that the scraper likes best.

    Args:
        accept: The value of the header; None or empty when there was none.

    Returns:
        OpenMetrics or protobuf only where they are asked for by name; plain text otherwise, whatever the header says: a
        person with a browser shall see the page too.
    """
    weights = dict.fromkeys(_ORDER, 0.0)
    for choice in (accept or "").lower().split(","):
        media_type, *parameters = (part.strip() for part in choice.split(";"))
        given = {name.strip(): value.strip(' "') for name, _, value in (part.partition("=") for part in parameters)}
        offered = _offered(media_type, given)
        if offered is not None:
            weights[offered] = max(weights[offered], _weight(given.get("q", "1")))
    best = max(_ORDER, key=weights.__getitem__)
    return best if weights[best] > 0 else Format.TEXT


def _offered(media_type: str, parameters: dict[str, str]) -> Format | None:
    if media_type == "application/openmetrics-text":
        return Format.OPENMETRICS if parameters.get("version", "1.0.0") == "1.0.0" else None
    if media_type == "application/vnd.google.protobuf":
        asked = (parameters.get("proto"), parameters.get("encoding"))
        return Format.PROTOBUF if asked == ("io.prometheus.client.metricfamily", "delimited") else None
    return Format.TEXT if media_type in {"text/plain", "text/*", "*/*"} else None


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
