"""A real Chromium, driven by Playwright."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.servers.process import MissingProgramError, find_program

# Only the page under test is loaded; the rest keeps the browser from talking to anybody else.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


# What is there at once costs nothing to wait for; a machine that does other things beside may need long for the rest.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def chromium_path() -> Path:
    """Give the path of the Chromium of this machine."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        try:
            return find_program(name, "chromium")
        except MissingProgramError:
            continue
    return find_program("chromium", "chromium")


@pytest.fixture(scope="module")
def browser(chromium_path: Path) -> Iterator[Browser]:
    """Give the Chromium of this module.

    Playwright keeps an event loop running in the thread of the tests, in which no asynchronous test can run meanwhile:
    these go into other modules.
    """
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path, headless=True, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Give an empty page with storage and language (English) of its own; use `browser.new_context` for another."""
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()
