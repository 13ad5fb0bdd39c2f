"""The reference pages of the commands and of the HTTP API are whole and up to date."""

from pathlib import Path

from huoyan.cli import reference as commands
from huoyan.server.api import reference as api

DOCS = Path(__file__).parents[3] / "docs" / "reference"


def test_every_command_and_option_is_described() -> None:
    assert commands.undescribed() == []


def test_the_page_of_the_commands_is_up_to_date() -> None:
    stored = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert stored == commands.render(), "run: python -m huoyan.cli.reference docs/reference"


def test_the_page_of_the_api_is_up_to_date() -> None:
    stored = (DOCS / "http-api.md").read_text(encoding="utf-8")
    assert stored == api.render(), "run: python -m huoyan.server.api.reference docs/reference"
