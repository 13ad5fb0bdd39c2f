"""Scrapes are answered to those who may, as often as they may."""

import base64

import pytest

from huoyan.client.access import Access
from huoyan.client.settings import Settings


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("auth", "presented", "passes"),
    [
        ("", "", True),
        ("prom:secret", basic("prom", "secret"), True),
        ("prom:se:cret", basic("prom", "se:cret"), True),
        ("prom:secret", basic("prom", "wrong"), False),
        ("prom:secret", "Bearer prom:secret", False),
        ("prom:secret", "Basic \xff", False),
        ("prom:secret", "", False),
        ("token", "Bearer token", True),
        ("token", "bearer  token ", True),
        ("token", "Bearer tokens", False),
        ("token", "Bearer ", False),
        ("token", basic("", "token"), False),
        # As a header is read: its bytes as Latin-1.
        ("tökén", f"Bearer {'tökén'.encode().decode('latin-1')}", True),
        ("tökén", "Bearer tökén", True),
        ("令牌", f"Bearer {'令牌'.encode().decode('latin-1')}", True),
        ("令牌", "Bearer ??", False),
        ("prom:wörd", basic("prom", "wörd"), True),
        ("prom:wörd", "Basic " + base64.b64encode("prom:wörd".encode("latin-1")).decode(), True),
        ("prom:令牌", basic("prom", "??"), False),
    ],
)
def test_only_the_right_credentials_pass(auth: str, presented: str, passes: bool) -> None:
    refusal = Access(auth, 0).refusal(presented)
    assert (refusal is None) is passes
    if refusal is not None:
        assert refusal.status == 401
        assert refusal.header[0] == "WWW-Authenticate"


def test_more_scrapes_than_allowed_in_any_minute_are_told_when_to_come_back() -> None:
    now = 1000.0
    access = Access("", 2, lambda: now)
    assert access.refusal("") is None
    now += 40.0
    assert access.refusal("") is None
    refusal = access.refusal("")
    assert refusal is not None
    assert (refusal.status, refusal.header) == (429, ("Retry-After", "20"))
    now += 20.0
    assert access.refusal("") is None
    assert access.refusal("") is not None


def test_who_may_not_scrape_takes_nobody_elses_turn() -> None:
    access = Access("token", 1)
    for _ in range(5):
        assert access.refusal("") is not None
    assert access.refusal("Bearer token") is None


def test_credentials_are_never_shown() -> None:
    assert "secret" not in repr(Settings(metrics_auth="prom:secret"))
