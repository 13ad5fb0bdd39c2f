from email.message import EmailMessage

import pytest
from aiosmtpd.smtp import Envelope

from huoyan.demo.mailbox import Pages, Relay
from huoyan.demo.mailbox_page import mail_page, mailbox_page
from huoyan.demo.post import Post
from huoyan.demo.web import Request

ON_CALL = "on-call@teahouse.example"


def message(subject: str, text: str = "hello", html: str = "") -> bytes:
    made = EmailMessage()
    made["Subject"] = subject
    made.set_content(text)
    if html:
        made.add_alternative(html, subtype="html")
    return bytes(made)


@pytest.fixture
def post() -> Post:
    return Post(ON_CALL, kept=3)


def test_mails_are_kept_with_subject_text_and_html(post):
    mail = post.keep(message("支付故障", "text", "<b>html</b>"), "huoyan@teahouse.example", [ON_CALL], 1000.0)
    assert (mail.subject, mail.text.strip(), mail.html.strip()) == ("支付故障", "text", "<b>html</b>")
    assert mail.alert
    assert post.find(mail.id) is mail


def test_many_mails_of_the_applications_do_not_push_out_the_alerts(post):
    alert = post.keep(message("alert"), "huoyan@teahouse.example", [ON_CALL], 1.0)
    for number in range(10):
        post.keep(message(f"mail {number}"), "shop@teahouse.example", ["ada@customers.example"], 2.0)
    assert [mail.subject for mail in post.others()] == ["mail 9", "mail 8", "mail 7"]
    assert post.alerts() == [alert]
    assert post.alerts(after_id=alert.id) == []


def test_what_is_no_proper_mail_is_kept_all_the_same(post):
    mail = post.keep(b"\xff\xfe no headers", "a@b.example", ["c@d.example"], 1.0)
    assert mail.subject == ""


def envelope(to: str) -> Envelope:
    made = Envelope()
    made.mail_from = "shop@teahouse.example"
    made.rcpt_tos = [to]
    made.original_content = message("Your order")
    return made


async def test_the_relay_refuses_the_applications_while_the_file_is_there_and_takes_alerts(post, tmp_path):
    relay = Relay(post, tmp_path / "refuse")
    assert (await relay.handle_DATA(None, None, envelope("ada@customers.example"))).startswith("250")
    (tmp_path / "refuse").touch()
    assert (await relay.handle_DATA(None, None, envelope("ada@customers.example"))).startswith("550 5.7.1")
    assert (await relay.handle_DATA(None, None, envelope(ON_CALL))).startswith("250")
    assert post.refused_count == 1
    assert (len(post.others()), len(post.alerts())) == (1, 1)


def test_the_api_lists_alerts_oldest_first_after_the_last_one_seen(post, tmp_path):
    pages = Pages(post, Relay(post, tmp_path / "refuse"))
    ids = [post.keep(message(f"alert {n}"), "huoyan@teahouse.example", [ON_CALL], float(n)).id for n in range(3)]
    listed = pages.answer(Request("GET", "/api/mails", {"box": "alerts", "after": str(ids[0])}))
    assert [item["subject"] for item in listed.content["items"]] == ["alert 1", "alert 2"]
    whole = pages.answer(Request("GET", f"/api/mails/{ids[2]}"))
    assert whole.content["text"].strip() == "hello"
    assert pages.answer(Request("GET", "/api/mails/999")).status == 404
    assert pages.answer(Request("GET", "/mails/x")).status == 404
    assert pages.answer(Request("POST", "/")).status == 405


def test_what_a_mail_says_cannot_become_part_of_the_page(post):
    mail = post.keep(message("<script>alert(1)</script>", html='"><script>1</script>'), "a@b.example", [ON_CALL], 1.0)
    listed = mailbox_page([mail], [], 0, False)
    assert "<script>alert(1)" not in listed
    assert "&lt;script&gt;alert(1)" in listed
    shown = mail_page(mail)
    assert "<script>" not in shown
    assert 'sandbox="' in shown
