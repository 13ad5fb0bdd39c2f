"""The mail relay's pages: what arrived, alerts first, and one mail as its reader sees it."""

import html
import time
from collections.abc import Iterable

from huoyan.demo.panel_page import STYLE
from huoyan.demo.post import Mail

_SHOWN = 100


def mailbox_page(alerts: Iterable[Mail], others: Iterable[Mail], refused_count: int, refusing: bool) -> str:
    """Return the list of mails, newest first.

    Args:
        alerts: What Huoyan sent.
        others: What the applications sent.
        refused_count: How many mails were refused so far.
        refusing: Whether mails of the applications are refused at this moment.
    """
    state = "refuses the shop's mails at this moment" if refusing else "takes every mail"
    return _page(
        "Mailbox",
        f'<p class="muted">This plays the mail relay. It {state}; {refused_count} refused so far.</p>'
        f"<h2>Alerts · 告警</h2>{_table(alerts, 'Nothing yet: all was well so far.')}"
        f"<h2>Sent by the applications · 应用发出的邮件</h2>{_table(others, 'Nothing yet.')}",
        refresh_s=3,
    )


def mail_page(mail: Mail) -> str:
    """Return one mail. HTML that came with it is shown in a frame that may run nothing and load nothing."""
    if mail.html:
        policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        # Links open in a tab of their own: the frame is too small for a page.
        head = f'<meta http-equiv="Content-Security-Policy" content="{policy}"><base target="_blank">'
        inner = head + mail.html
        body = (
            f'<iframe sandbox="allow-popups allow-popups-to-escape-sandbox" srcdoc="{html.escape(inner)}" '
            f'title="mail"></iframe>'
        )
    else:
        body = f"<pre>{html.escape(mail.text)}</pre>"
    heads = (("From", mail.sender), ("To", ", ".join(mail.recipients)), ("At", _clock(mail.at)))
    rows = "".join(f"<tr><th>{name}</th><td>{html.escape(value)}</td></tr>" for name, value in heads)
    return _page(mail.subject or "(no subject)", f'<p><a href="/">← all mails</a></p><table>{rows}</table><br>{body}')


def _table(mails: Iterable[Mail], empty: str) -> str:
    rows = "".join(
        f"<tr><td>{_clock(mail.at)}</td>"
        f'<td><a href="/mails/{mail.id}">{html.escape(mail.subject or "(no subject)")}</a></td>'
        f"<td>{html.escape(', '.join(mail.recipients))}</td></tr>"
        for mail in list(mails)[:_SHOWN]
    )
    return f"<table>{rows}</table>" if rows else f'<p class="muted">{empty}</p>'


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


def _page(title: str, body: str, refresh_s: int | None = None) -> str:
    refresh = f'<meta http-equiv="refresh" content="{refresh_s}">' if refresh_s else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">{refresh}
<link rel="icon" href="data:,">
<title>Huoyan · {html.escape(title)}</title><style>{STYLE}</style></head>
<body><h1>{html.escape(title)}</h1>{body}</body></html>
"""
