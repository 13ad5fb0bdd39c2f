"""What the documentation promises stands in the code, and the other way round."""

import re
import tomllib
from pathlib import Path

import pytest

import huoyan
from huoyan.client import settings
from huoyan.server.alert.defaults import default_rules
from huoyan.server.alert.rules import parse_rule
from huoyan.server.notify.receivers import parse_receiver

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "README.zh.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_every_client_setting_is_documented() -> None:
    page = (ROOT / "docs/reference/client.md").read_text()
    missing = [name for name in settings.NAMES if f"`HUOYAN_{name.upper()}`" not in page]
    assert missing == []


def test_every_public_name_of_the_client_is_documented() -> None:
    page = (ROOT / "docs/reference/client.md").read_text()
    missing = [
        name for name in huoyan.__all__ if name not in page and not name.startswith("__") and name != "HuoyanError"
    ]
    assert missing == []


def test_every_rule_that_applies_by_itself_is_documented() -> None:
    page = (ROOT / "docs/guides/alerts.md").read_text()
    assert [rule.name for rule in default_rules() if f"`{rule.name}`" not in page] == []


def test_every_page_is_led_to_from_the_first_one() -> None:
    first = (ROOT / "docs/index.md").read_text()
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert [page for page in pages if page != "index.md" and f"]({page})" not in first] == []


def toml_blocks() -> list[tuple[str, str]]:
    found = []
    for path in PAGES:
        for number, block in enumerate(re.findall(r"```toml\n(.*?)```", path.read_text(), re.DOTALL)):
            found.append((f"{path.name}-{number}", block))
    return found


@pytest.mark.parametrize(("name", "block"), toml_blocks(), ids=[name for name, _ in toml_blocks()])
def test_a_configuration_shown_is_one_that_is_accepted(name: str, block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tomllib.loads(block.replace("slack://…", "json://localhost"))
    for position, rule in enumerate(table.get("rules", [])):
        assert parse_rule(rule, f"rules[{position}]").name
    for position, receiver in enumerate(table.get("receivers", [])):
        assert parse_receiver(receiver, f"receivers[{position}]").name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_python_example_compiles(path: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL):
        compile(block, str(path), "exec")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_page_has_a_dangling_link(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links to {target}, which does not exist"


def test_both_readmes_start_with_the_two_commands() -> None:
    for name in ("README.md", "README.zh.md"):
        top = (ROOT / name).read_text()[:400]
        assert "make demo" in top
        assert "make test" in top
