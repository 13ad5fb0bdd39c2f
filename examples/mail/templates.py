"""What the mails say."""

from collections.abc import Mapping
from dataclasses import dataclass
from string import Template


@dataclass(frozen=True)
class MailTemplate:
    """Subject and text, with $names for the values."""

    subject: str
    text: str


TEMPLATES: Mapping[str, MailTemplate] = {
    "order-confirmation": MailTemplate(
        "Your order $order", "Thank you. $title is on its way to you.\n\nTotal: $total EUR\n"
    ),
    "welcome": MailTemplate("Welcome, $name", "Hello $name,\n\nyour account is ready.\n"),
    "password-reset": MailTemplate("Choose a new password", "Somebody, probably you, asked for a new password.\n"),
    "newsletter": MailTemplate("Spring teas are here", "The first harvest of the year has arrived.\n"),
}


def render(template: str, values: Mapping[str, str]) -> tuple[str, str]:
    """Return subject and text of a mail; a value that is missing leaves its name in place.

    Args:
        template: One of `TEMPLATES`.
        values: What goes in.
    """
    chosen = TEMPLATES[template]
    return Template(chosen.subject).safe_substitute(values), Template(chosen.text).safe_substitute(values)
