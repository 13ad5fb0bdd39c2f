"""The page on the screen of a phone."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.servers import HuoyanServer


@pytest.fixture(scope="module")
def server() -> Iterator[HuoyanServer]:
    """Give a server that knows of nothing."""
    with HuoyanServer() as started:
        yield started


@pytest.fixture(params=[360, 400])
def phone(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Give an empty page as wide as a phone."""
    context = browser.new_context(locale="en-US", viewport={"width": request.param, "height": 800})
    yield context.new_page()
    context.close()


def test_everything_in_the_header_is_on_the_screen(phone: Page, server: HuoyanServer) -> None:
    phone.goto(server.url)
    expect(phone.get_by_test_id("connection")).to_have_attribute("data-connection", "live")
    header = phone.locator("header")
    width = phone.viewport_size["width"] if phone.viewport_size else 0
    shown = [one for one in header.locator("a, button").all() if one.is_visible()]
    assert len(shown) == 4, "expected the menu, the way home, the language and the colour scheme"
    for one in shown:
        box = one.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


def test_the_language_can_be_changed_there(phone: Page, server: HuoyanServer) -> None:
    phone.goto(server.url)
    phone.get_by_role("button", name="Language: 中文").click()
    phone.get_by_role("button", name="语言: English").click()
    expect(phone.get_by_role("button", name="Language: 中文")).to_be_visible()


def test_without_any_service_the_page_says_how_to_get_one(phone: Page, server: HuoyanServer) -> None:
    phone.goto(f"{server.url}/services")
    expect(phone.get_by_text("huoyan.watch(app)")).to_be_visible()
    width = phone.viewport_size["width"] if phone.viewport_size else 0
    assert phone.evaluate("document.documentElement.scrollWidth") <= width
