"""Every error Huoyan raises, in one tree.

    HuoyanError
    ├── ConfigurationError      a setting is wrong; raised at start, never later
    │   └── ConfigurationErrors several are, all told at once
    ├── InvalidEvent            an event that a client posted cannot be accepted
    ├── InvalidQuery            a request asks for something that cannot be answered (bad filter, cursor, signal)
    ├── NotFound                the named run, incident, rule, … does not exist
    ├── Conflict                the thing is in a state that forbids the step (an incident already resolved)
    ├── Unsupported             the framework or server cannot do what was asked; says why
    ├── AlreadyRunning          a port or a data directory is taken
    ├── Unreachable             another system (broker, SMTP server, database) did not answer; retryable
    └── Undelivered             a message did not reach its receiver; says whether trying again may help

Messages follow one pattern: what was expected, what came, what to do. The client half raises only ConfigurationError,
and only from calls a developer makes while wiring (`watch`, `configure`); never from inside a task or request.
"""


class HuoyanError(Exception):
    """Base of every error that Huoyan raises on purpose.

    `retryable` says whether the same call may succeed later without anything being changed.
    """

    retryable: bool = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ConfigurationError(HuoyanError):
    """A setting is wrong. `setting` names it the way the user wrote it (`rules[2].for`, `HUOYAN_PORT`)."""

    def __init__(self, setting: str, expected: str, got: object, advice: str = "") -> None:
        self.setting = setting
        self.expected = expected
        self.got = got
        self.advice = advice
        text = f"{setting}: expected {expected}, got {_bounded(got, 2000)}"
        super().__init__(f"{text}. {advice}" if advice else text)


class ConfigurationErrors(ConfigurationError):
    """Everything that is wrong with the settings. `errors` has each; the message has one line for each."""

    def __init__(self, errors: "list[ConfigurationError]") -> None:
        first = errors[0]
        super().__init__(first.setting, first.expected, first.got, first.advice)
        self.errors = errors
        self.message = "\n".join(error.message for error in errors)
        self.args = (self.message,)


class InvalidEvent(HuoyanError):
    """An event cannot be accepted. `field` is the path of the offending field, `expected` and `got` say why."""

    def __init__(self, field: str, expected: str, got: object) -> None:
        self.field = field
        self.expected = expected
        self.got = got
        super().__init__(f"{field}: expected {expected}, got {_bounded(got)}")


class InvalidQuery(HuoyanError):
    """A question cannot be answered as asked: unknown filter value, malformed cursor, window out of range."""


class NotFound(HuoyanError):
    """The named thing does not exist (any more)."""


class Conflict(HuoyanError):
    """The thing is in a state that forbids the requested step."""


class Unsupported(HuoyanError):
    """The framework or server cannot do what was asked for; the message gives the reason."""


class AlreadyRunning(HuoyanError):
    """A port or data directory is in use by another process."""


class Unreachable(HuoyanError):
    """Another system did not answer or refused the connection."""

    retryable = True


class Undelivered(HuoyanError):
    """A message did not reach its receiver.

    `retryable` says whether the same message may arrive later; `delivered` names the recipients that have it already.
    """

    def __init__(self, message: str, *, retryable: bool = True, delivered: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.delivered = delivered


def _bounded(value: object, limit: int = 120) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - what was given instead may be anything
        text = f"an object of {type(value)!r} that cannot be shown"
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
