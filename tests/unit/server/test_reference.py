"""The reference of the settings is whole, and the example works as it stands."""

from pathlib import Path

import pytest

from huoyan.errors import ConfigurationError
from huoyan.server.alert import rules
from huoyan.server.config import load
from huoyan.server.config_sources import SERVER_VARIABLES
from huoyan.server.notify.receivers import CHANNELS, parse_receiver
from huoyan.server.reference import CHANNEL_SETTINGS, RECEIVER_SETTINGS, RULE_SETTINGS, render, undocumented

DOCS = Path(__file__).parents[3] / "docs" / "reference"


def test_every_setting_is_described_where_it_is_declared() -> None:
    assert undocumented() == []


def test_every_setting_of_a_rule_is_described() -> None:
    assert set(RULE_SETTINGS) == set(rules._KEYS)


def test_every_setting_of_a_receiver_is_described() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_receiver({"name": "x", "kind": "zzz", "qqqq": 1}, 0)
    assert set(CHANNEL_SETTINGS) == set(CHANNELS)
    assert set(RECEIVER_SETTINGS) == {"name", "kind", "language", "level"}
    assert "known are apprise, email, webhook" in caught.value.message


MINIMAL = {
    "email": {"host": "h", "from": "a@b.c", "to": "a@b.c"},
    "webhook": {"url": "https://h/"},
    "apprise": {"url": "json://h/"},
}


@pytest.mark.parametrize("kind", sorted(CHANNELS))
def test_every_setting_of_a_channel_is_described(kind: str) -> None:
    """A setting that no channel knows is answered with all that it does know."""
    with pytest.raises(ConfigurationError) as caught:
        parse_receiver({"name": "x", "kind": kind, **MINIMAL[kind], "qqqqqqqq": 1}, 0)
    known = caught.value.advice.removeprefix("known are ").split(", ")
    assert set(known) == set(CHANNEL_SETTINGS[kind])


def test_the_page_is_up_to_date() -> None:
    stored = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert stored == render(), "run: python -m huoyan.server.reference docs/reference"
    for name in SERVER_VARIABLES:
        assert f"`HUOYAN_{name.upper()}`" in stored


def test_the_example_is_accepted_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"SMTP_PASSWORD": "geheim", "CHAT_TOKEN": "geheim"}
    settings = load(config=DOCS / "huoyan.example.toml", environ=environ)
    assert [rule.name for rule in settings.alert_rules()] == ["payments-failing", "mail-backlog"]
    assert [receiver.name for receiver in settings.notify_receivers()] == ["oncall", "chat"]
    assert len(settings.celery) == 1
    assert "geheim" not in repr(settings)
