import io

from rich.console import Console

from huoyan.demo.terminal import Block, Lines, Part, Picture, terminal

ADDRESSES = (("Page", "http://127.0.0.1:8650"), ("Fault panel", "http://127.0.0.1:8651"))


def picture(up: bool) -> Picture:
    parts = (Part("huoyan serve", "up", 2.0), Part("orders worker (Huey)", "restarting" if up else "starting", 1.0))
    return Picture(parts, ADDRESSES, (("Alerts", "3 by mail so far"),), up)


def drawn(up: bool) -> str:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, color_system=None, legacy_windows=False)
    block = Block(console)
    block.open(lambda: picture(up))
    block.say("Alert mail: task-failures")
    block.close()
    return screen.getvalue()


def test_the_block_shows_the_progress_of_the_start():
    text = drawn(up=False)
    assert "Starting the demonstration: 1 of 2" in text
    assert "✓" in text


def test_the_block_shows_addresses_notes_and_who_is_missing():
    text = drawn(up=True)
    assert "http://127.0.0.1:8650" in text
    assert "3 by mail so far" in text
    assert "orders worker (Huey) (restarting)" in text
    assert "Alert mail: task-failures" in text


def test_a_pipe_gets_plain_lines(capsys):
    lines = Lines()
    lines.open(lambda: picture(True))
    lines.progress("huoyan serve: ready (2.0 s)")
    lines.ready()
    lines.close()
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "huoyan serve: ready (2.0 s)" in out
    assert "Page: http://127.0.0.1:8650" in out


def test_what_is_no_terminal_gets_lines(monkeypatch):
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    assert isinstance(terminal(), Lines)
