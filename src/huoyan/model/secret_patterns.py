"""Secrets that show by their own look: keys, tokens, card numbers, credentials in addresses.

Every function takes time proportional to its text, whatever the text: patterns start only where a run of their
characters begins, or need nothing behind the run.
"""

import re
from collections.abc import Callable

Hide = Callable[[str], str]
"""Returns what is written in place of a secret."""

_SHORTEST_SECRET_CHARS = 8

_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?"
    r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")

_URL_PASSWORD = re.compile(r"(://[^\s/:@?#\"'<>]{0,256}:)([^\s/?#\"'<>]{1,1024})(@)")

_DOTTED_RUN = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]++(?:\.[A-Za-z0-9_-]*+)+")
_SHORTEST_JWT_HEADER = 10

# Prefixes that the issuers chose so that leaked tokens can be found. Every alternative begins with one letter: that is
# what lets the engine skip to where one can begin, instead of trying all of them everywhere.
_PREFIXED = re.compile(
    r"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}"
    r"|sk_(?:live|test)_[A-Za-z0-9]{10,}|rk_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{16,}"
    r"|sk-(?<![A-Za-z0-9]sk-)(?=[A-Za-z_-]{0,64}\d)[A-Za-z0-9_-]{20,}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/[A-Za-z0-9/]{8,}"
    r"|A(?:KIA|SIA)(?<![A-Z0-9]A(?:KIA|SIA))[A-Z0-9]{16}(?![A-Z0-9])"
    r"|AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"
    r"|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{40,}|hf_[A-Za-z0-9]{30,}|dop_v1_[a-f0-9]{40,}"
    r"|shp(?:at|ss|ca|pa)_[a-f0-9]{32}"
    r"|hvs\.[A-Za-z0-9_-]{20,}|sq0(?:atp|csp)-[A-Za-z0-9_-]{20,}|AGE-SECRET-KEY-1[A-Z0-9]{50,}"
    r"|discord(?:app)?\.com/api/webhooks/\d+/[A-Za-z0-9_-]{20,}"
)
# The robots of WeCom are addressed by their key.
_ROBOT = re.compile(r"(webhook/send\?key=)([A-Za-z0-9-]{8,})")
_BOT_TOKEN = re.compile(r"(?<!\d)\d{8,10}:AA[A-Za-z0-9_-]{32,}")

_SCHEME = re.compile(r"\b(bearer|basic)([ \t]{1,8})([A-Za-z0-9._~+/=-]{8,})", re.IGNORECASE)
_SURELY_NO_WORD_CHARS = 24

_EIGHT_DIGITS = re.compile(r"[0-9][0-9][0-9][0-9][ .\u00a0-]?[0-9]{4}")
_CARD = re.compile(
    r"(?<!\d)(?:\d{13,19}"
    r"|\d{4}([ .\u00a0-])\d{4}\1\d{4}\1\d{1,4}(?:\1\d{1,3})?"
    r"|\d{4}([ .\u00a0-])\d{6}\2\d{4,5})(?!\d)"
)
_UATP_DIGITS = 15
_HEX = frozenset("0123456789abcdefABCDEF")


def hide_patterns(text: str, hide: Hide) -> str:
    """Return `text` with every secret that shows by its look replaced by what `hide` returns for it."""
    if len(text) < _SHORTEST_SECRET_CHARS:
        return text
    if "PRIVATE KEY" in text:
        text = _hide_private_keys(text, hide)
    if "://" in text:
        text = _URL_PASSWORD.sub(lambda match: f"{match[1]}{hide(match[2])}{match[3]}", text)
        text = _ROBOT.sub(lambda match: f"{match[1]}{hide(match[2])}", text)
    if "eyJ" in text:
        text = _DOTTED_RUN.sub(lambda match: _hide_jwt(match[0], hide), text)
    text = _PREFIXED.sub(lambda match: hide(match[0]), text)
    if ":AA" in text:
        text = _BOT_TOKEN.sub(lambda match: hide(match[0]), text)
    lowered = text.lower()
    if "bearer" in lowered or "basic" in lowered:
        text = _SCHEME.sub(lambda match: _hide_credentials(match, hide), text)
    if _EIGHT_DIGITS.search(text):
        text = _CARD.sub(lambda match: hide(match[0]) if _is_card_in_text(match) else match[0], text)
    return text


def is_card_number(digits: str) -> bool:
    """Return whether 13 to 19 digits can be a payment card's number: the check digit is right (ISO/IEC 7812, Luhn).

    Numbers that begin with 0, or with 1 unless they have 15 digits, belong to no card; times in milliseconds do.
    """
    if not 13 <= len(digits) <= 19 or digits[0] == "0" or (digits[0] == "1" and len(digits) != _UATP_DIGITS):
        return False
    total = 0
    for position, char in enumerate(reversed(digits)):
        digit = ord(char) - 48
        if position % 2:
            digit = digit * 2 - 9 if digit > 4 else digit * 2
        total += digit
    return total % 10 == 0


def _hide_private_keys(text: str, hide: Hide) -> str:
    text = _PEM.sub(lambda match: hide(match[0]), text)
    # An end without its beginning: the text was cut there, and all that is left of the key stands before.
    orphans = list(_PEM_END.finditer(text))
    return hide(text[: orphans[-1].end()]) + text[orphans[-1].end() :] if orphans else text


def _hide_jwt(run: str, hide: Hide) -> str:
    """Hide a JSON web token in a run of letters, digits, `_`, `-` and dots: it begins with `eyJ`, base64 of `{"`."""
    at = run.find("eyJ")
    while at > 0 and run[at - 1].isalnum():
        at = run.find("eyJ", at + 3)
    if at < 0 or run.find(".", at) - at < _SHORTEST_JWT_HEADER:
        return run
    return run[:at] + hide(run[at:])


def _hide_credentials(match: re.Match[str], hide: Hide) -> str:
    """Hide what follows `Bearer` or `Basic`, unless it is a word: `basic understanding`."""
    value = match[3]
    is_word = value.rstrip(".").replace("-", "").isalpha() and (value.islower() or value.istitle())
    if is_word and len(value) < _SURELY_NO_WORD_CHARS:
        return match[0]
    return f"{match[1]}{match[2]}{hide(value)}"


def _is_card_in_text(match: re.Match[str]) -> bool:
    text, start, end = match.string, match.start(), match.end()
    if not is_card_number("".join(char for char in match[0] if char.isdecimal())):
        return False
    if start > 1 and text[start - 1] == "." and text[start - 2].isdigit():
        return False  # the decimals of a number
    before, after = start, end
    while before > 0 and start - before < 64 and text[before - 1].isalnum():
        before -= 1
    while after < len(text) and after - end < 64 and text[after].isalnum():
        after += 1
    # Letters a to f alone around it: the digits are part of a hexadecimal id.
    around = text[before:start] + text[end:after]
    return not around or not _HEX.issuperset(around)
