"""The reference pages say what the declarations say."""

from pathlib import Path

from huoyan.signals import CATALOGUE, METRICS
from huoyan.signals.reference import PAGES, main, metrics_page, signals_page

FOLDER = Path(__file__).parents[3] / "docs" / "reference"


def test_the_pages_are_up_to_date():
    """When this fails: python -m huoyan.signals.reference docs/reference."""
    for name, page in PAGES.items():
        assert (FOLDER / name).read_text("utf-8") == page(), f"{name} is out of date"


def test_every_signal_and_metric_is_documented():
    signals, metrics = signals_page(), metrics_page()
    assert all(f"\n### {name}\n" in signals for name in CATALOGUE)
    assert all(f"\n| `{name}` |" in metrics for name in METRICS)


def test_checking_writes_nothing_and_fails_when_a_page_is_stale(tmp_path, capsys):
    assert main([str(tmp_path), "--check"]) == 1
    assert list(tmp_path.iterdir()) == []
    assert "signals.md: out of date" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 0
    assert main([str(tmp_path), "--check"]) == 0
    (tmp_path / "metrics.md").write_text("old")
    assert main([str(tmp_path), "--check"]) == 1
