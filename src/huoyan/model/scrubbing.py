"""Secrets taken out of texts: messages, tracebacks, arguments written as text.

Two ways lead to a secret: the name it stands behind (`password=…`, `"token": "…"`, `--api-key …`, `<secret>…`) and its
own look (`huoyan.model.secret_patterns`). Both are guesses that must err on the safe side without eating ordinary text.
"""

import re
from collections.abc import Iterable

from huoyan.errors import ConfigurationError
from huoyan.model.secret_names import SecretNames
from huoyan.model.secret_patterns import hide_patterns

REPLACEMENT = "[scrubbed]"

MAX_TEXT_CHARS = 131_072
"""Longer texts lose their middle: what is not looked at must not leave."""

_SHORTEST_TEXT_CHARS = 5
_LONGEST_VALUE_CHARS = 4_096

# What joins a name to its value, and the name before it, read backwards: texts have few separators and many words.
_SEPARATOR = re.compile(r":=|=>?(?!=)|:(?![:/])|：|＝")
_EMAN = re.compile(r"[ \t]{0,3}\]?[\"'`]?\\{0,4}([\w-]{2,200})")
_LONGEST_NAME_CHARS = 210
_BLANKS = re.compile(r"[ \t]{0,3}")
_OPTION = re.compile(r"(?<![\w-])--([\w-]{2,60}+)[ \t]{1,3}(?![-\s])")
_ELEMENT = re.compile(r"<([\w:.-]{2,60}+)(?:\s[^<>]{0,200})?>([^<]{1,4096})(?=</)")
_PLAIN = re.compile(r"(?:[^\s,;&\"'`()\[\]{}<>|，；。、]|[,;&](?![\s]|\Z|[\w.-]{1,60}+[ \t]?[=:]))+")
_QUOTED = re.compile(
    r"[bBrRuUfF]{0,2}(?:\"(?:[^\"\\\n]|\\.)*+\"?|'(?:[^'\\\n]|\\.)*+'?|`[^`\n]*+`?)"
    r"|(\\{1,4}[\"'])(?:(?!\1)[^\n])*+(?:\1)?"
)
_AUTH_SCHEME = re.compile(r"(?:bearer|basic|token|digest|negotiate|apikey)[ \t]+", re.IGNORECASE)
_OBJECT = re.compile(r"<(?:[\w.]+\.\w+|[\w.]+ object)(?: object)?(?: at 0x[0-9A-Fa-f]+)?>")
_LINE_END = re.compile(r"[\r\n\"'`]|\Z")
_OPEN = {"(": ")", "[": "]", "{": "}"}
_HEADERS = ("cookie", "authorization")
# `API key: …`: the word before belongs to the name.
_SECOND_WORDS = frozenset({"key", "number", "code", "phrase", "word", "id"})
_DROW = re.compile(r" ([A-Za-z]{2,30})")

# Behind a name these are no secrets: nothing, yes and no, and the types of annotations.
_HARMLESS_VALUES = frozenset(
    {"", "None", "null", "nil", "undefined", "True", "False", "true", "false", "str", "bytes", "int", "bool", "..."}
)


class TextScrubber:
    """Takes secrets out of texts.

    Args:
        names: Further names whose values are secret, beside the built-in ones (password, token, api key, card …).
        patterns: Further regular expressions; what they match, or their group named `secret`, is a secret.
        replacement: Written in place of a secret, default `[scrubbed]`.

    Raises:
        ConfigurationError: When a name has no letters, or a pattern is not valid or matches the empty text.
    """

    def __init__(
        self,
        names: Iterable[str] = (),
        patterns: Iterable[str | re.Pattern[str]] = (),
        replacement: str = REPLACEMENT,
    ) -> None:
        if not replacement or type(replacement) is not str:
            raise ConfigurationError("replacement", "a text of at least one character", replacement)
        self.replacement = replacement
        self._names = SecretNames(names)
        self._patterns = _compiled(patterns)
        self._harmless = _HARMLESS_VALUES | {replacement}

    def is_secret(self, name: str) -> bool:
        """Return whether what stands under `name` is to be hidden."""
        return self._names.is_secret(name)

    def scrub_text(self, text: str) -> str:
        """Return `text` without secrets; never raises. Beyond 131,072 characters the middle is left out."""
        if type(text) is not str:
            text = _plain(text)
        if len(text) < _SHORTEST_TEXT_CHARS:
            return text
        if len(text) > MAX_TEXT_CHARS:
            text = _without_middle(text)
        text = self._hide_assigned(text)
        if "--" in text:
            text = self._hide_options(text)
        if "</" in text:
            text = _ELEMENT.sub(self._hide_element, text)
        text = hide_patterns(text, self._hide)
        for pattern in self._patterns:
            text = pattern.sub(self._hide_match, text)
        return text

    def _hide(self, secret: str) -> str:
        return secret if secret in self._harmless else self.replacement

    def _hide_match(self, match: re.Match[str]) -> str:
        if "secret" not in match.re.groupindex:
            return self.replacement
        start, end = match.span("secret")
        if start < 0:
            return match[0]
        offset = match.start()
        return f"{match[0][: start - offset]}{self.replacement}{match[0][end - offset :]}"

    def _hide_assigned(self, text: str) -> str:
        """Hide what is assigned to a secret name: `password=…`, `"token": "…"`, `API key: …`."""
        out: list[str] = []
        done = 0
        for separator in _SEPARATOR.finditer(text):
            at = separator.start()
            if at < done:
                continue
            name = _EMAN.match(text[max(done, at - _LONGEST_NAME_CHARS) : at][::-1])
            if not name or not self._is_secret_before(name):
                continue
            start = _BLANKS.match(text, separator.end()).end()  # type: ignore[union-attr]
            is_header = ":" in separator[0] and any(word in name[1][::-1].lower() for word in _HEADERS)
            end = _end_of_value(text, start, is_header=is_header)
            out.append(text[done:start])
            out.append(self._hidden_value(text[start:end]))
            done = end
        out.append(text[done:])
        return "".join(out)

    def _is_secret_before(self, backwards: re.Match[str]) -> bool:
        """Return whether the name read backwards is secret, on its own or with the word before it."""
        name = backwards[1][::-1]
        if self.is_secret(name):
            return True
        if name.lower() not in _SECOND_WORDS:
            return False
        before = _DROW.match(backwards.string, backwards.end())
        return before is not None and self.is_secret(f"{before[1][::-1]} {name}")

    def _hide_options(self, text: str) -> str:
        """Hide what follows a secret option of a command line: `--password …`."""
        out: list[str] = []
        done = 0
        for option in _OPTION.finditer(text):
            if option.start() >= done and self.is_secret(option[1]):
                end = _end_of_value(text, option.end(), is_header=False)
                out.append(text[done : option.end()])
                out.append(self._hidden_value(text[option.end() : end]))
                done = end
        out.append(text[done:])
        return "".join(out)

    def _hide_element(self, match: re.Match[str]) -> str:
        if not self.is_secret(match[1]):
            return match[0]
        return match[0][: match.start(2) - match.start()] + self._hide(match[2])

    def _hidden_value(self, value: str) -> str:
        """Return the replacement in the quotes of `value`."""
        opening = _OPENING_QUOTE.match(value)
        quote = opening[0] if opening else ""
        inner = value[len(quote) :]
        closing = quote.lstrip("bBrRuUfF")
        if closing and inner.endswith(closing):
            inner = inner[: -len(closing)]
        else:
            closing = ""
        if inner.strip() in self._harmless or _OBJECT.fullmatch(inner):
            return value
        return f"{quote}{self.replacement}{closing}"


_OPENING_QUOTE = re.compile(r"[bBrRuUfF]{0,2}(?:\\{1,4}[\"']|[\"'`])")


def _end_of_value(text: str, start: int, *, is_header: bool) -> int:
    """Return where the value that begins at `start` ends: a quoted text, a bracket, or a run without white space."""
    quoted = _QUOTED.match(text, start)
    if quoted:
        return quoted.end()
    if is_header:
        return _LINE_END.search(text, start).start()  # type: ignore[union-attr]
    object_text = _OBJECT.match(text, start)
    if object_text:
        return object_text.end()
    scheme = _AUTH_SCHEME.match(text, start)
    at = scheme.end() if scheme else start
    while at < len(text):
        run = _PLAIN.match(text, at)
        if run:
            at = run.end()
        elif text[at] in _OPEN:
            at = _end_of_bracket(text, at)
        elif text[at] == "<" and at == start:
            at += 1
        else:
            break
    return at


def _end_of_bracket(text: str, start: int) -> int:
    """Return where the bracket that opens at `start` closes; where it does not, the end of what is looked at."""
    depth = 0
    for at in range(start, min(start + _LONGEST_VALUE_CHARS, len(text))):
        char = text[at]
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
            if not depth:
                return at + 1
    return min(start + _LONGEST_VALUE_CHARS, len(text))


def _plain(text: object) -> str:
    return str.__str__(text) if isinstance(text, str) else ""


def _without_middle(text: str) -> str:
    """Return the beginning and the end of a text that is too long, without the words that the cuts went through."""
    half = MAX_TEXT_CHARS // 2
    head, tail = text[: half - 64], text[-half:]
    first_break = re.search(r"\s", tail[:_LONGEST_VALUE_CHARS])
    tail = tail[first_break.end() if first_break else _LONGEST_VALUE_CHARS :]
    return f"{head}\n… [{len(text) - len(head) - len(tail)} characters left out]\n{tail}"


def _compiled(patterns: Iterable[str | re.Pattern[str]]) -> tuple[re.Pattern[str], ...]:
    if isinstance(patterns, (str, re.Pattern)):
        raise ConfigurationError("patterns", "a list of regular expressions", patterns)
    compiled = []
    for position, pattern in enumerate(patterns):
        setting = f"patterns[{position}]"
        try:
            made = re.compile(pattern)
            matches_nothing = made.search("") is not None
        except (re.error, TypeError, RecursionError, OverflowError) as error:
            raise ConfigurationError(setting, "a regular expression for text", pattern, f"{error}.") from error
        if matches_nothing:
            raise ConfigurationError(setting, "a pattern that does not match the empty text", made.pattern)
        compiled.append(made)
    return tuple(compiled)
