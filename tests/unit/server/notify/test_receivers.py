"""Receivers: what is accepted, what is refused, and that secrets never print."""

import logging
import pickle
import traceback

import pytest

from huoyan.errors import ConfigurationError
from huoyan.model.alert import Level
from huoyan.server.alert.rules import parse_rules
from huoyan.server.notify.channels.email import MailChannel
from huoyan.server.notify.receivers import CHANNELS, check_receivers, parse_receiver, parse_receivers

SECRET = "pass/word%41&geheim"
MAIL = {
    "name": "ops",
    "kind": "email",
    "host": "smtp.example.com",
    "username": "huoyan",
    "password": SECRET,
    "from": "huoyan@example.com",
    "to": ["ops@example.com"],
}
HOOK = {
    "name": "hook",
    "kind": "webhook",
    "url": "https://user:tok-SECRET@hooks.example.com/T000/tok-SECRET?key=tok-SECRET",
    "headers": {"Authorization": "Bearer tok-SECRET"},
}
CHAT = {"name": "chat", "kind": "apprise", "url": "slack://tokSECRETA/tokSECRETB/tokSECRETCtokSECRETCtokS/#ops"}


def _channel(table) -> MailChannel:
    channel = parse_receiver(table, 0).channel
    assert isinstance(channel, MailChannel)
    return channel


def test_a_mail_receiver_is_read_with_its_defaults():
    receiver = parse_receiver(MAIL, 0)
    assert (receiver.name, receiver.kind, receiver.language, receiver.level) == ("ops", "email", "en", Level.WARNING)
    channel = _channel(MAIL)
    assert (channel.port, channel.security, channel.verify, channel.timeout_s) == (587, "starttls", True, 10.0)
    assert (channel.sender, channel.sender_name) == ("huoyan@example.com", "Huoyan")


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("plain", 25)])
def test_the_port_follows_the_security(security, port):
    assert _channel({**MAIL, "security": security}).port == port


def test_the_sender_may_have_a_name_and_to_may_be_one_address():
    channel = _channel({**MAIL, "from": "Wächter <w@example.com>", "to": "a@example.com"})
    assert (channel.sender, channel.sender_name, channel.to) == ("w@example.com", "Wächter", ("a@example.com",))


@pytest.mark.parametrize(
    ("base", "change", "setting", "words"),
    [
        (MAIL, {"name": ""}, "name", "a name"),
        (MAIL, {"kind": "emial"}, "kind", "did you mean email?"),
        (MAIL, {"kind": None}, "kind", "known are apprise, email, webhook"),
        (MAIL, {"language": "fr"}, "language", "one of en, zh"),
        (MAIL, {"level": "fatal"}, "level", "one of warning, critical"),
        (MAIL, {"host": "smtp://example.com"}, "host", "without scheme and port"),
        (MAIL, {"host": "smtp.example.com:25"}, "host", "write the port as"),
        (MAIL, {"host": None}, "host", "the name of an SMTP server"),
        (MAIL, {"port": 70000}, "port", "a number from 1 to 65535"),
        (MAIL, {"port": "587"}, "port", "a number from 1 to 65535"),
        (MAIL, {"security": "ssl"}, "security", "one of starttls, tls, plain"),
        (MAIL, {"password": None}, "password", "both username and password"),
        (MAIL, {"password": 12345678}, "password", "the password to log in with, got '(not shown)'"),
        (MAIL, {"password": "wörd-SECRET"}, "password", "ASCII characters only"),
        (MAIL, {"username": None}, "username", "both username and password"),
        (MAIL, {"from": "nobody"}, "from", "a mail address"),
        (MAIL, {"from": "A <a@b.example>\r\nBcc: x@y.example"}, "from", "a mail address"),
        (MAIL, {"to": []}, "to", "a list of mail addresses"),
        (MAIL, {"to": ["a@example.com", "b"]}, "to[1]", "a mail address"),
        (MAIL, {"to": ["a@example.com, b@example.com"]}, "to[0]", "a mail address"),
        (MAIL, {"verify": "no"}, "verify", "true or false"),
        (MAIL, {"timeout": 0}, "timeout", "a number from 1 to 60"),
        (MAIL, {"pasword": SECRET}, "pasword", "did you mean password"),
        (HOOK, {"url": "ftp://x"}, "url", "http:// or https://"),
        (HOOK, {"url": "https://"}, "url", "http:// or https://"),
        (HOOK, {"url": "https://x:99999/"}, "url", "http:// or https://"),
        (HOOK, {"url": 5}, "url", "http:// or https://"),
        (HOOK, {"headers": ["a"]}, "headers", "a table of header names"),
        (HOOK, {"headers": {"X": "a\r\nb"}}, "headers.X", "a header on one line"),
        (CHAT, {"url": "nonsense://tok-SECRET"}, "url", "an Apprise address"),
        (CHAT, {"url": "tok-SECRET"}, "url", "an Apprise address"),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_shown(base, change, setting, words):
    table = {key: value for key, value in {**base, **change}.items() if value is not None}
    with pytest.raises(ConfigurationError) as refused:
        parse_receiver(table, 3)
    assert refused.value.setting == f"receivers[3].{setting}"
    shown = "".join(traceback.format_exception(refused.value)) + repr(refused.value.args)
    assert words in str(refused.value)
    for secret in (SECRET, "SECRET", "12345678"):
        assert secret not in shown.replace(f"'{setting}'", "")


def test_a_receiver_that_is_no_table_is_refused_without_showing_it():
    with pytest.raises(ConfigurationError) as refused:
        parse_receiver("mailto://user:SECRET@host", 0)
    assert "SECRET" not in str(refused.value)


def test_two_receivers_of_one_name_are_refused():
    with pytest.raises(ConfigurationError, match=r"receivers\[1\]\.name: expected a name that no other receiver"):
        parse_receivers([MAIL, {**HOOK, "name": "ops"}])


def test_a_rule_that_names_an_unknown_receiver_is_refused():
    rules = parse_rules([{"name": "a", "signal": "queue_depth", "receivers": ["op"]}])
    with pytest.raises(ConfigurationError, match=r"rules\[0\]\.receivers: .*did you mean ops"):
        check_receivers(rules, parse_receivers([MAIL]))
    with pytest.raises(ConfigurationError, match="no receivers are configured"):
        check_receivers(rules, [])
    check_receivers(
        parse_rules([{"name": "a", "signal": "queue_depth", "receivers": ["ops"]}]), [parse_receiver(MAIL, 0)]
    )


@pytest.mark.parametrize("table", [MAIL, HOOK, CHAT], ids=lambda table: table["kind"])
def test_secrets_never_print(table, caplog):
    receiver = parse_receiver(table, 0)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").warning("%s %r %s", receiver, receiver.channel, receiver.describe())
    shown = f"{receiver!r} {receiver.channel!r} {receiver.channel} {receiver.describe()} {caplog.text}"
    for secret in (SECRET, "SECRET", "geheim"):
        assert secret not in shown


@pytest.mark.parametrize(
    "text",
    [
        f"535 login {SECRET} refused",
        "url was smtp://huoyan:pass%2Fword%2541%26geheim@host",
        "url was smtp://huoyan:pass/word%2541%26geheim@host",
        "AUTH cGFzcy93b3JkJTQxJmdlaGVpbQ==",
    ],
)
def test_a_secret_is_masked_however_it_is_encoded(text):
    scrubbed = parse_receiver(MAIL, 0).scrub(text)
    assert "***" in scrubbed
    assert "geheim" not in scrubbed
    assert "cGFzcy" not in scrubbed


def test_what_is_no_secret_is_left_alone():
    assert parse_receiver(MAIL, 0).scrub("connection refused by smtp.example.com") == (
        "connection refused by smtp.example.com"
    )


def test_every_kind_names_a_package_that_offers_a_channel():
    from importlib import import_module

    for path in CHANNELS.values():
        assert callable(import_module(path).channel)


def test_channels_are_imported_only_when_a_receiver_of_their_kind_is_configured():
    import subprocess
    import sys

    code = "import sys, huoyan.server.notify.receivers; print('apprise' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert answer.stdout.strip() == "False"


def test_a_receiver_survives_being_copied_to_another_process():
    receiver = parse_receiver(MAIL, 0)
    assert pickle.loads(pickle.dumps(receiver)) == receiver
