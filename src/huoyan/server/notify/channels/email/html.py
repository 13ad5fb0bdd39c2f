"""The HTML form of a mail; Apprise adds the plain text made from it, line by line."""

from html import escape

from huoyan.server.notify.message import Message

_COLOURS = {"critical": "#c92a2a", "warning": "#e8590c", "resolved": "#2b8a3e"}


def render(message: Message) -> str:
    """Return a message as HTML that mail programs of any age show: no style sheet, no images, no tables."""
    colour = _COLOURS.get("resolved" if message.event == "resolved" else message.level, "#495057")
    mark = "：" if message.language == "zh" else ": "
    style = f"border-left:4px solid {colour};padding-left:10px;font-size:1.15em"
    parts = [f'<p style="{style}"><b>{escape(message.title)}</b></p>']
    if message.lead:
        parts.append(f"<p>{escape(message.lead)}</p>")
    if message.facts:
        lines = [
            f'<span style="color:#868e96">{escape(name)}</span>{mark}{escape(text)}' for name, text in message.facts
        ]
        parts.append(f"<p>{'<br/>'.join(lines)}</p>")
    if message.url:
        url = escape(message.url, quote=True)
        parts.append(f'<p><a href="{url}">{url}</a></p>')
    return f'<div style="font-family:sans-serif;line-height:1.5">{"".join(parts)}</div>'
