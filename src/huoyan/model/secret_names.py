"""Names under which secrets stand: keys, parameters, headers, variables.

A name counts by its words, however they are joined: `user_password2`, `accessToken` and `X-API-KEY` are secrets;
`tokenizer`, `secretary` and `token_count` are not.
"""

import re
from collections.abc import Iterable

from huoyan.errors import ConfigurationError


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


# One word, or up to three words in a row written together.
_TERMS = _listed(
    """
    password passwords passwd passphrase passcode pwd secret secrets token tokens credential credentials
    authorization auth cookie cookies session sessionid sid csrf xsrf jwt bearer
    apikey accesskey privatekey secretkey signingkey encryptionkey masterkey authkey accountkey sharedkey sshkey
    card cardnumber creditcard cvv cvc securitycode ssn socialsecurity pin pincode otp totp
    """
)
# Words written together: `dbpassword`, `authtoken`, `clientsecret`.
_ENDINGS = ("password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey", "privatekey", "secretkey")
# Scripts without spaces or letter case.
_PARTS = ("密码", "口令", "令牌", "密钥", "私钥", "身份证", "银行卡", "信用卡", "验证码", "パスワード", "пароль")

# How many, how long, whether, of which kind: names that say something about a secret, and not the secret.
_HARMLESS_LAST = _listed(
    """
    count counts counter type types kind size length len limit limits usage used total max min status state policy
    enabled disabled required optional valid invalid expired expires expiry expiration ttl timeout at in on
    seconds s ms minutes hours days duration ratio rate index name names version age strength brand issuer network
    scheme class backend field fields format factory maker manager pool error errors
    """
)
_HARMLESS_FIRST = _listed("max min has is should needs requires require uses no")
# Language models count tokens: `prompt_tokens`.
_COUNTED_TOKENS = _listed("prompt completion input output cached reasoning total max min num used remaining")

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_MAX_NAME_CHARS = 200
_MAX_WORDS = 24
_LONGEST_TERM_WORDS = 3
_MAX_REMEMBERED = 4_096


class SecretNames:
    """Decides whether a name stands for a secret. Answers are remembered: names recur.

    Args:
        extra: Further names, in any spelling: `customer number` also means `customerNumber` and `old_customer_number`.

    Raises:
        ConfigurationError: When one of `extra` contains no letters.
    """

    __slots__ = ("_parts", "_remembered", "_terms")

    def __init__(self, extra: Iterable[str] = ()) -> None:
        terms, parts = set(_TERMS), list(_PARTS)
        if isinstance(extra, str):
            raise ConfigurationError("names", "a list of names", extra)
        entries: list[object] = list(extra)
        for position, name in enumerate(entries):
            words = _words(name) if isinstance(name, str) else []
            if isinstance(name, str) and name.strip() and not name.isascii():
                parts.append(name.strip())
            elif 1 <= len(words) <= _LONGEST_TERM_WORDS:
                terms.add("".join(words))
            else:
                raise ConfigurationError(f"names[{position}]", "a name of one to three words", name)
        self._terms = frozenset(terms)
        self._parts = tuple(parts)
        self._remembered: dict[str, bool] = {}

    def is_secret(self, name: str) -> bool:
        """Return whether what stands under `name` is to be hidden."""
        answer = self._remembered.get(name)
        if answer is None:
            answer = self._decide(name)
            if len(self._remembered) >= _MAX_REMEMBERED:
                # Names made up by users must not grow the memory of the process.
                self._remembered.clear()
            if len(name) <= _MAX_NAME_CHARS:
                self._remembered[name] = answer
        return answer

    def _decide(self, name: str) -> bool:
        name = name[-_MAX_NAME_CHARS:]
        if not name.isascii() and any(part in name for part in self._parts):
            return True
        words = _words(name)[-_MAX_WORDS:]
        if not words or (len(words) > 1 and (words[-1] in _HARMLESS_LAST or words[0] in _HARMLESS_FIRST)):
            return False
        if words[-1] == "tokens" and words[0] in _COUNTED_TOKENS:
            return False
        if any(word.endswith(_ENDINGS) for word in words):
            return True
        return any(
            "".join(words[start:end]) in self._terms
            for start in range(len(words))
            for end in range(start + 1, min(start + _LONGEST_TERM_WORDS, len(words)) + 1)
        )


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]
