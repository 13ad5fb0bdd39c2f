"""The browser that the page is tested in starts and shows what a server sends."""

from playwright.sync_api import Browser, Page

from tests.servers import HttpSink


def test_chromium_shows_a_page_in_both_languages(page: Page, http_sink: HttpSink) -> None:
    http_sink.pages["/"] = ("text/html; charset=utf-8", "<title>Huoyan</title><h1>火眼 sees</h1>")
    page.goto(f"{http_sink.url}/")
    assert page.title() == "Huoyan"
    assert page.locator("h1").inner_text() == "火眼 sees"


def test_another_language_is_another_context(browser: Browser, http_sink: HttpSink) -> None:
    http_sink.pages["/"] = ("text/html", "<script>document.title = navigator.language</script>")
    context = browser.new_context(locale="zh-CN")
    chinese = context.new_page()
    chinese.goto(f"{http_sink.url}/")
    assert chinese.title() == "zh-CN"
    context.close()
