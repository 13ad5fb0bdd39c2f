"""Times and periods in query parameters."""

import pytest

from huoyan.errors import InvalidQuery
from huoyan.server.api.parameters import moment, period

NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("text", "at"),
    [
        (None, None),
        ("", None),
        ("  ", None),
        ("0", 0.0),
        ("1795209303.25", 1795209303.25),
        ("2026-11-20T21:15:03.123456Z", 1795209303.123456),
        ("2026-11-21T05:15:03+08:00", 1795209303.0),
        ("2026-11-21T05:15:03 08:00", 1795209303.0),
        ("-30s", NOW - 30),
        ("-1.5m", NOW - 90),
        ("-2h", NOW - 7200),
        ("-1d", NOW - 86400),
        ("-9999999d", 0.0),
    ],
)
def test_every_form_is_read(text: str | None, at: float | None) -> None:
    assert moment(text, NOW, "since") == at


@pytest.mark.parametrize(
    "text",
    ["now", "1h", "-1w", "-5", "nan", "inf", "1e300", "-inf", "2026-11-20", "2026-11-20T21:15:03", "20:00", "火", "\0"],
)
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidQuery, match=r"^since: expected an RFC 3339 time"):
        moment(text, NOW, "since")


def test_a_period_has_to_end_after_it_begins() -> None:
    assert period("-2h", "-1h", NOW) == (NOW - 7200, NOW - 3600)
    assert period(None, "-1h", NOW) == (None, NOW - 3600)
    with pytest.raises(InvalidQuery, match=r"^until: expected a time after since"):
        period("-1h", "-1h", NOW)
