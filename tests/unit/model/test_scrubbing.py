"""Secrets in texts: what is hidden, what is not, and that no text makes it slow or raise."""

import json
import random
import re
import string
import time
import traceback
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huoyan.errors import ConfigurationError
from huoyan.model.scrubbing import MAX_TEXT_CHARS, REPLACEMENT, TextScrubber
from huoyan.model.secret_names import SecretNames
from huoyan.model.secret_patterns import is_card_number

SCRUBBER = TextScrubber()

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5NXgL0n3I9PlFUP0THsR8U"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nq83vEjRWeJA=\n-----END RSA PRIVATE KEY-----"


# Names


@pytest.mark.parametrize(
    "name",
    [
        *("password", "passwd", "PASSWORD", "user_password2", "userPassword", "dbpassword", "password_hash", "pwd"),
        *("secret", "client_secret", "clientsecret", "SECRET_KEY", "AWS_SECRET_ACCESS_KEY", "token", "accessToken"),
        *(
            "refresh-token",
            "authtoken",
            "x-csrf-token",
            "csrfmiddlewaretoken",
            "APIKey",
            "api_key",
            "X-API-KEY",
            "apikey",
        ),
        *("authorization", "Proxy-Authorization", "auth", "cookie", "Set-Cookie", "session", "session_id", "sessionid"),
        *(
            "credential",
            "aws_credentials",
            "private_key",
            "privateKey",
            "access_key",
            "card",
            "card_number",
            "creditCard",
        ),
        *("cvv", "cvc", "ssn", "pin", "PIN", "pin_code", "otp", "jwt", "用户密码", "input_password"),
    ],
)
def test_a_name_with_the_word_of_a_secret_is_one(name):
    assert SecretNames().is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "_", "42", "user", "order_id", "key", "public_key", "primary_key", "keyboard", "monkey", "author"),
        *("authority", "authenticated", "secretary", "tokenizer", "tokenizer_count", "tokenize", "passport", "compass"),
        *("passenger", "opinion", "spin", "pinned", "shipping", "cardinal", "discard", "cardiology", "cookies_count"),
        *("token_count", "token_type", "max_tokens", "prompt_tokens", "tokens_used", "password_length", "has_password"),
        *(
            "password_changed_at",
            "session_count",
            "session_timeout_s",
            "card_type",
            "secret_name",
            "passwordless",
            "订单",
        ),
    ],
)
def test_a_name_that_merely_contains_the_letters_or_counts_secrets_is_none(name):
    assert not SecretNames().is_secret(name)


def test_further_names_count_in_any_spelling():
    names = SecretNames(["customer number", "иин", "Kennziffer"])
    for name in (
        "customer_number",
        "customerNumber",
        "OLD-CUSTOMER-NUMBER",
        "customernumber",
        "иин_клиента",
        "kennziffer",
    ):
        assert names.is_secret(name), name
    assert not names.is_secret("customer_count")
    assert names.is_secret("password")


@pytest.mark.parametrize("name", ["", "  ", "12", 5, None, "much too long a name"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(ConfigurationError, match=r"names\[1\]: expected a name"):
        SecretNames(["ok", name])


def test_one_text_instead_of_a_list_of_names_is_refused():
    with pytest.raises(ConfigurationError, match="names: expected a list of names, got 'iban'"):
        TextScrubber(names="iban")


def test_names_made_up_by_users_do_not_grow_the_memory():
    names = SecretNames()
    for n in range(20_000):
        names.is_secret(f"name{n}")
    assert len(names._remembered) < 5_000


# Texts


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("password=hunter2", "password=[scrubbed]"),
        ("password: hunter2, user: bob", "password: [scrubbed], user: bob"),
        ("Password = hunter2; User = bob", "Password = [scrubbed]; User = bob"),
        ("password => 'hunter 2'", "password => '[scrubbed]'"),
        ("{'password': 'hunter2', 'user': 'bob'}", "{'password': '[scrubbed]', 'user': 'bob'}"),
        ('{"password": "hun\\"ter2", "n": 1}', '{"password": "[scrubbed]", "n": 1}'),
        (r"{\"password\": \"hunter2\", \"n\": 1}", r"{\"password\": \"[scrubbed]\", \"n\": 1}"),
        ("{'password': b'hunter2'}", "{'password': b'[scrubbed]'}"),
        ("password='cut off", "password='[scrubbed]"),
        ("password=SecretStr('hunter2')", "password=[scrubbed]"),
        ("{'tokens': ['a', ('b',)], 'n': 1}", "{'tokens': [scrubbed], 'n': 1}"),
        ("auth=('bob', 'hunter2')", "auth=[scrubbed]"),
        ("DB_PASSWORD=a,b,USER=bob", "DB_PASSWORD=[scrubbed],USER=bob"),
        ("GET /x?token=abc&page=2", "GET /x?token=[scrubbed]&page=2"),
        ("API key: abc123", "API key: [scrubbed]"),
        ("mysql --password hunter2 -h db", "mysql --password [scrubbed] -h db"),
        ("--api-key=abc --verbose", "--api-key=[scrubbed] --verbose"),
        ("<user>bob</user><password>hunter2</password>", "<user>bob</user><password>[scrubbed]</password>"),
        ("密码：hunter2，用户：bob", "密码：[scrubbed]，用户：bob"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: [scrubbed]"),
        ("'Authorization': 'Bearer abc'", "'Authorization': '[scrubbed]'"),
        ("Cookie: a=b; sid=xyz\nHost: x", "Cookie: [scrubbed]\nHost: x"),
        ("token=Bearer abc next", "token=[scrubbed] next"),
        ("sent Bearer dGhpcyBpcw== to it", "sent Bearer [scrubbed] to it"),
        ("Basic dXNlcjpwYXNz", "Basic [scrubbed]"),
        ("https://bob:p@ss@db.example.com/x", "https://bob:[scrubbed]@db.example.com/x"),
        ("redis://:hunter2@localhost:6379/0", "redis://:[scrubbed]@localhost:6379/0"),
        ("card 4111 1111 1111 1111.", "card [scrubbed]."),
        ("4111-1111-1111-1111", "[scrubbed]"),
        ("amex 3782 822463 10005", "amex [scrubbed]"),
        ("no.5555555555554444", "no.[scrubbed]"),
        ("visa_4111111111111111", "visa_[scrubbed]"),
        (f"got {JWT}!", "got [scrubbed]!"),
        (f"jwt_{JWT}", "jwt_[scrubbed]"),
        ("key AKIAIOSFODNN7EXAMPLE", "key [scrubbed]"),
        ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "[scrubbed]"),
        ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", "[scrubbed]"),
        ("xoxb-123456789012-abcdefGHIJKL", "[scrubbed]"),
        ("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693a91f6-7xxx-4bc4", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=[scrubbed]"),
        (f"key:\n{PEM}\nend", "key:\n[scrubbed]\nend"),
        ("q83vEjRWeJA=\n-----END EC PRIVATE KEY-----\nend", "[scrubbed]\nend"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r", "[scrubbed]"),
    ],
)  # fmt: skip
def test_a_secret_in_a_text_is_hidden(text, clean):
    assert SCRUBBER.scrub_text(text) == clean


ORDINARY = [
    "", "a", "Order 4711 not found", "3 retries left, next in 2.5 s", "connect ECONNREFUSED 10.0.0.7:6379",
    "order 4111111111111112 is late", "1763673303123", "1732137303123456789", "at 1763673303.123456 s",
    "0.4111111111111111", "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "4111111111111111abcdef",
    "commit deadbeef4111111111111111", "2026-11-20T21:15:03.123Z to 2026-11-21T00:00:00+08:00",
    "2026-11-20 2026-11-21 2026-11-22", "10 20 30 40 50 60 70 80", "+49 170 1234567", "basic understanding",
    "Bearer of bad news arrives", "https://example.com:8443/orders?id=5&page=2", "http://host:80/a?email=b@c",
    "user@example.com", "if token == expected: raise", "password = None", "def login(user: str, password: str)",
    "session = <db.Session>", "session=<sqlalchemy.orm.Session object at 0x7f12>", "with Session(engine) as session:",
    "token_count=5", "key: abc", "task-runner-for-orders-service-1", "risk-assessment-of-the-year",
    "eyJ is how it begins", "see a.b.c and eyJx.y", "<order><id>5</id></order>", "--verbose --color always",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", 'File "/srv/app/tokens.py", line 3, in tokenize',
    "KeyError: 'password'", "订单 4711 失败：库存不足", "std::string token::next()", "a ==> b :: c", "secret",
    "the password is wrong", "sizes: 10, 20", "{'n': 1, 'x': [1, 2]}",
]  # fmt: skip


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_is_left_as_it_is(text):
    assert SCRUBBER.scrub_text(text) == text


ordinary_parts = st.one_of(
    st.sampled_from(
        [*ORDINARY[2:4], "order", "failed", "user bob", "in queue emails", "(code 5)", "n=3", "id: 7", "库存"]
    ),
    st.uuids().map(str),
    st.uuids().map(lambda value: value.hex),
    st.datetimes().map(lambda value: value.isoformat()),
    st.integers(1_600_000_000_000, 1_900_000_000_000).map(str),
    st.integers(0, 10**18).map(str).filter(lambda digits: not is_card_number(digits)),
    st.floats(-1e12, 1e12).map(str),
    st.ip_addresses().map(str),
)


@given(st.lists(ordinary_parts, max_size=8).map(", ".join))
def test_numbers_times_and_ids_are_left_as_they_are(text):
    assert SCRUBBER.scrub_text(text) == text


secrets = st.text(string.ascii_letters + string.digits, min_size=8, max_size=24).map(lambda text: f"Zq7{text}")
FORMS = [
    "password={}", "password: {}", "pwd='{}'", '"api_key": "{}"', "token => {}", "{{'secret': '{}'}}",
    "passwd=fn('{}')", "Authorization: Basic {}", "Cookie: x={}; y=1", "https://bob:{}@host/", "--token {}",
    "<secret>{}</secret>", "x?sid={}&y", r"{{\"cvv\": \"{}\"}}", "'tokens': [1, '{}']", "令牌：{}", "SECRET_KEY={}",
    "private key = {}", "session: {}", "sk_live_{}", "ghp_{}aaaaaaaaaaaaaa", "eyJhbGciOiJub25lIn0.{}.x",
    "bearer {}==", "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
]  # fmt: skip


@given(secrets, st.sampled_from(FORMS), st.text(max_size=60), st.text(max_size=60))
def test_a_planted_secret_never_leaves(secret, form, before, after):
    """Whatever stands around it, on its own line or not."""
    for join in ("\n", " "):
        clean = SCRUBBER.scrub_text(f"{before}{join}{form.format(secret)}{join}{after}")
        assert secret not in clean
        assert REPLACEMENT in clean


@given(st.integers(0, 10**14 - 1), st.sampled_from(["", " ", "-"]), st.sampled_from(["", "card: ", "nr ", "(", "x="]))
def test_a_card_number_never_leaves(number, separator, before):
    stem = f"4{number:014d}"
    digits = next(f"{stem}{check}" for check in range(10) if is_card_number(f"{stem}{check}"))
    shown = separator.join(digits[at : at + 4] for at in range(0, 16, 4))
    assert shown not in SCRUBBER.scrub_text(f"{before}{shown} was declined")


@pytest.mark.parametrize(
    ("digits", "is_card"),
    [
        ("4111111111111111", True),
        ("378282246310005", True),
        ("6011000990139424", True),
        ("30569309025904", True),
        ("4222222222222", True),
        ("4111111111111112", False),
        ("411111111111", False),
        ("0000000000000000", False),
        ("1763673303124", False),
        ("", False),
    ],
)
def test_the_check_digit_decides_what_is_a_card_number(digits, is_card):
    assert is_card_number(digits) is is_card


texts = st.one_of(
    st.text(),
    st.lists(st.sampled_from([*FORMS, *ORDINARY, "'", '"', "\\", "=", ":", " ", "\n", "["]), max_size=8).map(" ".join),
)


@given(texts)
def test_scrubbing_never_raises_and_twice_is_the_same_as_once(text):
    once = SCRUBBER.scrub_text(text)
    assert SCRUBBER.scrub_text(once) == once


@pytest.mark.parametrize("thing", [None, 5, b"password=x", object(), ["password=x"]])
def test_what_is_no_text_becomes_an_empty_one(thing):
    assert SCRUBBER.scrub_text(thing) == ""


def test_a_traceback_keeps_all_but_the_secrets():
    def connect(password: str) -> None:
        raise ConnectionError(f"login failed for bob with password={password!r} at redis://:{password}@cache:6379/0")

    secret = "hunter2hunter2"
    with pytest.raises(ConnectionError) as caught:
        connect(secret)
    text = "".join(traceback.format_exception(caught.value))
    assert secret in text
    clean = SCRUBBER.scrub_text(text)
    assert "hunter2" not in clean
    assert "login failed for bob with password='[scrubbed]' at redis://:[scrubbed]@cache:6379/0" in clean
    frames = [line for line in text.splitlines() if line.startswith("  File ")]
    assert frames == [line for line in clean.splitlines() if line.startswith("  File ")]


# Bounds


def test_a_text_too_long_loses_its_middle_and_no_half_secret_remains_at_the_cut():
    for offset in range(0, 200, 7):
        head = "x" * (MAX_TEXT_CHARS // 2 - 150 + offset)
        text = f"{head} password=Zq7{'s' * 80} {'y ' * MAX_TEXT_CHARS} token: {JWT} {'z ' * (MAX_TEXT_CHARS // 4)}"
        clean = SCRUBBER.scrub_text(text)
        assert len(clean) <= MAX_TEXT_CHARS
        assert "Zq7" not in clean
        assert "eyJ" not in clean
        assert "characters left out" in clean


HOSTILE = [
    "eyJ", "eyJ.", "eyJa.", "password=", "password='", 'token: "', "token=(", "token=[", "token=,a", "token=a,",
    "token: \\'", "a", "-", "--", "--a ", "4111 ", "4111", "1", "1.", "://a:", "://", "<a>", "<token x>", "<a",
    "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "PRIVATE KEY", "\\", '\\"', "(",
    "bearer ", "bearer a", "a=", "a:", ":", "=", "key: ", "sk-", "sk-a", "SG.", "xoxb-", "gh", "AKIA", "12345678:AA",
    "密", "：", " ", "\n", "webhook/send?key=",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_text_takes_linear_time(piece):
    """A pattern that backtracks would take minutes; all of these take below a tenth of a second on one slow core."""
    text = piece * (MAX_TEXT_CHARS // len(piece))
    started = time.process_time()
    SCRUBBER.scrub_text(text)
    SCRUBBER.scrub_text(text + "!")
    assert time.process_time() - started < 2.0


# Extension


def test_further_names_and_patterns_are_hidden_too():
    scrubber = TextScrubber(
        names=["iban"], patterns=[r"\bEMP-\d+\b", re.compile(r"room (?P<secret>\d+)", re.IGNORECASE)], replacement="***"
    )
    text = "iban: DE02 and EMP-4711 in Room 101, password=x1"
    assert scrubber.scrub_text(text) == "iban: *** and *** in Room ***, password=***"
    assert SCRUBBER.scrub_text("iban: DE02") == "iban: DE02"


def test_an_optional_secret_group_that_took_no_part_hides_nothing():
    assert TextScrubber(patterns=["a(?P<secret>b)?c"]).scrub_text("ac abc ....") == "ac a[scrubbed]c ...."


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (["ok", "(unclosed"], r"patterns\[1\]: expected a regular expression for text, got '\(unclosed'\. missing \)"),
        (["x*"], r"patterns\[0\]: expected a pattern that does not match the empty text, got 'x\*'"),
        ([5], r"patterns\[0\]: expected a regular expression"),
        ([re.compile(b"x")], r"patterns\[0\]: expected a regular expression for text"),
        ("abc", "patterns: expected a list of regular expressions, got 'abc'"),
    ],
)
def test_a_broken_pattern_is_refused_at_construction_and_named(patterns, message):
    with pytest.raises(ConfigurationError, match=message):
        TextScrubber(patterns=patterns)


@pytest.mark.parametrize("replacement", ["", None, 5])
def test_a_replacement_that_shows_nothing_is_refused(replacement):
    with pytest.raises(ConfigurationError, match="replacement: expected a text"):
        TextScrubber(replacement=replacement)


def test_random_bytes_as_text_survive():
    """Much ordinary payload is base64 or hexadecimal; all of it that is no token stays."""
    generator = random.Random(7)
    for _ in range(200):
        text = json.dumps({"id": uuid.UUID(int=generator.getrandbits(128)).hex, "n": generator.random()})
        assert SCRUBBER.scrub_text(text) == text
