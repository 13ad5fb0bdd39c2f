"""The mail relay of the demonstration, a process of its own.

    python -m huoyan.demo.mailbox --smtp-port 8656 --http-port 8652 --alerts-to ops@teahouse.example --refuse-file PATH

It takes every mail over SMTP, keeps the newest, and shows them over HTTP:

    GET /                                the list; /mails/7 is one mail
    GET /api/mails?box=alerts&after=6    {"items": [{id, at, from, to, subject}], "refused": 0}, oldest first
    GET /api/mails/7                     the same with text and html

Boxes are `alerts` (the default) and `others`.

While the file named by --refuse-file exists, it refuses the applications' mails; alerts get through all the same.
"""

import argparse
import asyncio
import random
import signal
import time
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope

from huoyan.demo.mailbox_page import mail_page, mailbox_page
from huoyan.demo.ports import HOST
from huoyan.demo.post import Mail, Post
from huoyan.demo.web import Answer, Request, WebServer

REFUSAL = "550 5.7.1 mails of this sender are not taken at the moment: too many complaints"
SLOWEST_S = 0.06
MAX_MAIL_BYTES = 1_000_000


class Relay:
    """Takes mails over SMTP; the names of the methods are aiosmtpd's.

    Args:
        post: Where mails are kept.
        refuse_file: While it exists, only alerts are taken.
    """

    def __init__(self, post: Post, refuse_file: Path) -> None:
        self._post = post
        self._refuse_file = refuse_file

    @property
    def refusing(self) -> bool:
        """Whether mails of the applications are refused at this moment."""
        return self._refuse_file.exists()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802
        """Keep a mail or refuse it, and answer."""
        recipients = [str(address) for address in envelope.rcpt_tos]
        if not self._post.is_alert(recipients):
            if self.refusing:
                self._post.refused_count += 1
                return REFUSAL
            # Relays look at mails before they take them.
            await asyncio.sleep(random.uniform(0.005, SLOWEST_S))
        content = envelope.original_content or b""
        mail = self._post.keep(content, envelope.mail_from or "", recipients, time.time())
        return f"250 2.0.0 taken as {mail.id}"


class Pages:
    """Answers what is asked over HTTP."""

    def __init__(self, post: Post, relay: Relay) -> None:
        self._post = post
        self._relay = relay

    def answer(self, request: Request) -> Answer:
        """Answer one request."""
        if request.method != "GET":
            return Answer(405, {"error": "expected GET"})
        if request.path == "/":
            post = self._post
            return Answer(200, mailbox_page(post.alerts(), post.others(), post.refused_count, self._relay.refusing))
        if request.path == "/api/mails":
            after_id = _number(request.query.get("after", "0"))
            mails = self._post.others(after_id) if request.query.get("box") == "others" else self._post.alerts(after_id)
            return Answer(
                200, {"items": [_shown(mail) for mail in reversed(mails)], "refused": self._post.refused_count}
            )
        if request.path == "/healthz":
            return Answer(200, {"status": "ok"})
        for folder in ("/api/mails/", "/mails/"):
            if request.path.startswith(folder):
                mail = self._post.find(_number(request.path.removeprefix(folder)))
                if mail is not None:
                    whole = {**_shown(mail), "text": mail.text, "html": mail.html}
                    return Answer(200, whole if folder.startswith("/api") else mail_page(mail))
        return Answer(404, {"error": "there is nothing here"})


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 16 else 0


def _shown(mail: Mail) -> dict[str, Any]:
    return {"id": mail.id, "at": mail.at, "from": mail.sender, "to": list(mail.recipients), "subject": mail.subject}


async def serve(smtp_port: int, http_port: int, alerts_to: str, refuse_file: Path) -> None:
    """Take and show mails until the process is told to end."""
    post = Post(alerts_to)
    relay = Relay(post, refuse_file)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    smtp = await loop.create_server(
        lambda: SMTP(relay, hostname="relay.teahouse.example", ident="Huoyan demo", data_size_limit=MAX_MAIL_BYTES),
        HOST,
        smtp_port,
    )
    web = WebServer(http_port, Pages(post, relay).answer)
    web.start()
    await ended.wait()
    smtp.close()
    web.close()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description="The mail relay of the demonstration.")
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--alerts-to", required=True)
    parser.add_argument("--refuse-file", type=Path, required=True)
    given = parser.parse_args()
    asyncio.run(serve(given.smtp_port, given.http_port, given.alerts_to, given.refuse_file))


if __name__ == "__main__":
    main()
