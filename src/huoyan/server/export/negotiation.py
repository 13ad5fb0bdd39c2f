"""Which of the text formats of Prometheus a scraper gets, by its `Accept` header."""

from enum import StrEnum


class TextFormat(StrEnum):
    """The formats offered; the value is the content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    """https://prometheus.io/docs/instrumenting/exposition_formats/"""
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    """https://prometheus.io/docs/specs/om/open_metrics_spec/"""


def negotiate(accept: str | None) -> TextFormat:
    """Choose the format that the scraper likes better.

    Args:
        accept: The value of the header; None or empty when there was none.

    Returns:
        OpenMetrics where it is asked for by name with at least the weight of plain text; plain text otherwise, whatever
        the header says: a person with a browser shall see the page too.
    """
    openmetrics = 0.0
    text = 0.0
    for choice in (accept or "").lower().split(","):
        media_type, *parameters = (part.strip() for part in choice.split(";"))
        given = dict(parameter.partition("=")[::2] for parameter in parameters)
        weight = _weight(given.get("q", "1"))
        if media_type == "application/openmetrics-text" and given.get("version", "1.0.0").strip('"') == "1.0.0":
            openmetrics = max(openmetrics, weight)
        elif media_type in {"text/plain", "text/*", "*/*"}:
            text = max(text, weight)
    return TextFormat.OPENMETRICS if openmetrics > 0 and openmetrics >= text else TextFormat.TEXT


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
