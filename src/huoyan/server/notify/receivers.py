"""Receivers: who is told, through which channel, in which language, from which level on."""

import base64
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, cast
from urllib.parse import quote, quote_plus

from huoyan.errors import ConfigurationError
from huoyan.model.alert import Level
from huoyan.server.alert.rules import Rule, nearest
from huoyan.server.alert.wording import LANGUAGES
from huoyan.server.notify.channel import Channel, ChannelFactory
from huoyan.server.notify.message import Message
from huoyan.server.notify.settings import HIDDEN, Settings

CHANNELS: Mapping[str, str] = {
    "email": "huoyan.server.notify.channels.email",
    "webhook": "huoyan.server.notify.channels.webhook",
    "apprise": "huoyan.server.notify.channels.apprise_url",
}
"""Kind of receiver → package with its `channel` function, imported when a receiver of that kind is configured."""

_COMMON = ("name", "kind", "language", "level")
_MASK = "***"


@dataclass(frozen=True, slots=True)
class Receiver:
    """Somebody to be told.

    Attributes:
        name: Unique among the receivers; rules name it.
        kind: Which channel.
        channel: The channel with its settings.
        language: `en` or `zh`.
        level: Told of incidents of this level and worse.
    """

    name: str
    kind: str
    channel: Channel = field(repr=False)
    language: str = "en"
    level: Level = Level.WARNING

    def send(self, message: Message, delivered: Collection[str] = ()) -> None:
        """Send a message.

        Raises:
            Undelivered: It did not arrive. The text may hold secrets: show it through `scrub`.
        """
        self.channel.send(message, delivered)

    def scrub(self, text: str) -> str:
        """Return a text with this receiver's secrets masked, however they are encoded."""
        forms: set[str] = set()
        for secret in self.channel.secrets():
            if secret:
                encoded = base64.b64encode(secret.encode()).decode()
                forms |= {
                    secret,
                    quote(secret),
                    quote(secret, safe=""),
                    quote_plus(secret),
                    encoded,
                    repr(secret)[1:-1],
                }
        # The longest first: one form may be part of another.
        for form in sorted(forms, key=len, reverse=True):
            text = text.replace(form, _MASK)
        return text

    def describe(self) -> str:
        """Say where messages go, without secrets."""
        return self.scrub(self.channel.describe())


def parse_receivers(items: Iterable[Any], setting: str = "receivers") -> tuple[Receiver, ...]:
    """Read the `[[receivers]]` tables of the configuration.

    Raises:
        ConfigurationError: One of them is wrong, or two carry the same name.
    """
    receivers: list[Receiver] = []
    for index, item in enumerate(items):
        receiver = parse_receiver(item, f"{setting}[{index}]")
        if any(receiver.name == earlier.name for earlier in receivers):
            raise ConfigurationError(f"{setting}[{index}].name", "a name that no other receiver carries", receiver.name)
        receivers.append(receiver)
    return tuple(receivers)


def parse_receiver(mapping: Any, position: str | int) -> Receiver:
    """Read one receiver and check it whole.

    Args:
        mapping: The table as written: `name`, `kind`, optionally `language` ("en", "zh") and `level` ("warning",
            "critical"), and the settings of the kind.
        position: Where it stands, for error messages: "receivers[2]", or 2 for the same.

    Returns:
        The receiver.

    Raises:
        ConfigurationError: Something is wrong; the error names the setting, what was expected and what came, and never
            shows the value of a secret.
    """
    at = f"receivers[{position}]" if isinstance(position, int) else position
    if not isinstance(mapping, Mapping):
        raise ConfigurationError(at, "a table with name, kind, …", HIDDEN)
    settings = Settings(mapping, at)
    name = settings.text("name", expected='a name, such as "ops"')
    kind = mapping.get("kind")
    if not isinstance(kind, str) or kind not in CHANNELS:
        advice = nearest(kind if isinstance(kind, str) else "", CHANNELS)
        raise settings.wrong("kind", "a kind of receiver", kind, advice)
    language = settings.one_of("language", LANGUAGES, "en")
    level = Level(settings.one_of("level", [level.value for level in Level], Level.WARNING.value))
    factory = cast(ChannelFactory, import_module(CHANNELS[kind]).channel)
    channel = factory({key: value for key, value in mapping.items() if key not in _COMMON}, at)
    return Receiver(name=name, kind=kind, channel=channel, language=language, level=level)


def check_receivers(rules: Iterable[Rule], receivers: Iterable[Receiver]) -> None:
    """Check that the receivers which rules name are there.

    Raises:
        ConfigurationError: One is not.
    """
    names = [receiver.name for receiver in receivers]
    for index, rule in enumerate(rules):
        for name in rule.receivers:
            if name not in names:
                advice = nearest(name, names) if names else "no receivers are configured"
                raise ConfigurationError(f"rules[{index}].receivers", "the name of a receiver", name, advice)
