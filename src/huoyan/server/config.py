"""Settings of the server: `huoyan.toml`, `HUOYAN_*` variables over it, flags of the command over both.

Everything is checked at once when the server starts; a wrong setting is named the way it was written, with what was
expected and what came. Secrets are held so that they never print.
"""

import copy
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from huoyan.errors import ConfigurationError, ConfigurationErrors
from huoyan.server.address import EVERY_ADDRESS, shown_url, url_host
from huoyan.server.alert.defaults import default_rules
from huoyan.server.alert.rules import Rule, nearest, parse_rule
from huoyan.server.config_sources import (
    A_LIST,
    A_TABLE,
    DEPLOYMENTS,
    HIDDEN,
    NOTHING,
    Environment,
    Sources,
    read_file,
)
from huoyan.server.deployment_settings import CelerySettings, RqSettings
from huoyan.server.notify.receivers import Receiver, check_receivers, parse_receiver
from huoyan.server.prometheus_settings import PrometheusSettings
from huoyan.server.server_settings import ServerSettings
from huoyan.server.truth_settings import TruthSettings


class Settings(BaseModel):
    """Every setting of the server. `load` reads the file, the environment and the flags."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)

    server: ServerSettings = ServerSettings()
    """Where it listens and what it keeps."""
    celery: tuple[CelerySettings, ...] = ()
    """Celery deployments watched through their brokers."""
    rq: tuple[RqSettings, ...] = ()
    """RQ deployments watched through their Redis."""
    prometheus: PrometheusSettings = PrometheusSettings()
    """A Prometheus that is asked for what node exporters say of hosts."""
    truth: TruthSettings = TruthSettings()
    """When a worker is down or wedged, a run stuck or lost."""
    rules: tuple[dict[str, Any], ...] | None = None
    """Alert rules. Default: the built-in ones; an empty list judges nothing."""
    receivers: tuple[dict[str, Any], ...] = Field(default=(), repr=False)
    """Who is told of incidents."""

    @property
    def store_url(self) -> str:
        """Address of the database, with its password."""
        if self.server.database_url is not None:
            return self.server.database_url.get_secret_value()
        return f"sqlite:///{self.server.data_dir.absolute() / 'huoyan.db'}"

    @property
    def shown_store(self) -> str:
        """Where data is kept, for people: without a password."""
        return shown_url(self.store_url) if self.server.database_url is not None else str(self.server.data_dir)

    @property
    def token(self) -> str | None:
        """The token, None when none is asked for."""
        return None if self.server.token is None else self.server.token.get_secret_value()

    @property
    def address(self) -> str:
        """Address of the page for somebody on this machine."""
        return f"http://{url_host(self.server.host)}:{self.server.port}"

    @property
    def public_url(self) -> str:
        """Address of the page for links."""
        if self.server.public_url is not None:
            return self.server.public_url.rstrip("/")
        if self.server.host in EVERY_ADDRESS:
            return f"http://{socket.gethostname()}:{self.server.port}"
        return self.address

    def alert_rules(self) -> tuple[Rule, ...]:
        """Return the rules to judge: those configured, else the built-in ones.

        Raises:
            ConfigurationErrors: Some are wrong.
        """
        errors: list[ConfigurationError] = []
        rules = self._rules(errors)
        _refuse(errors)
        return rules

    def notify_receivers(self) -> tuple[Receiver, ...]:
        """Return who is told of incidents.

        Raises:
            ConfigurationErrors: Some are wrong.
        """
        errors: list[ConfigurationError] = []
        receivers = self._receivers(errors)
        _refuse(errors)
        return receivers

    def check(self, sources: Sources | None = None) -> None:
        """Check what concerns several settings, and those that other parts of the server read.

        Args:
            sources: Where each setting was written, for the messages.

        Raises:
            ConfigurationErrors: All that is wrong.
        """
        sources = sources or Sources()
        errors = list(self.server.errors(sources))
        for index, celery in enumerate(self.celery):
            errors += celery.errors(index, sources)
        for index, rq in enumerate(self.rq):
            errors += rq.errors(index, sources)
        errors += self.prometheus.errors()
        rules = self._rules(errors)
        receivers = self._receivers(errors)
        if not errors:
            try:
                check_receivers(rules, receivers)
            except ConfigurationError as error:
                errors.append(error)
        _refuse(errors)

    def _rules(self, errors: list[ConfigurationError]) -> tuple[Rule, ...]:
        if self.rules is None:
            return default_rules()
        rules: dict[str, Rule] = {}
        for index, table in enumerate(self.rules):
            try:
                rule = parse_rule(table, index)
            except ConfigurationError as error:
                errors.append(error)
                continue
            if rule.name in rules:
                errors.append(
                    ConfigurationError(
                        f"rules[{index}].name", "a name that no other rule carries", rule.name, "Give it another name"
                    )
                )
            rules[rule.name] = rule
        return tuple(rules.values())

    def _receivers(self, errors: list[ConfigurationError]) -> tuple[Receiver, ...]:
        receivers: dict[str, Receiver] = {}
        for index, table in enumerate(self.receivers):
            try:
                receiver = parse_receiver(table, index)
            except ConfigurationError as error:
                errors.append(error)
                continue
            if receiver.name in receivers:
                errors.append(
                    ConfigurationError(
                        f"receivers[{index}].name", "a name that no other receiver carries", receiver.name
                    )
                )
            receivers[receiver.name] = receiver
        return tuple(receivers.values())


def load(
    flags: Mapping[str, Any] | None = None, config: Path | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Read and check all settings.

    Args:
        flags: Settings of `[server]` given on the command line, by name; None stands for not given. `celery` and
            `rq` are lists of addresses, added to those of the file.
        config: The file; default `HUOYAN_CONFIG`, else `./huoyan.toml`, else `huoyan.toml` in the data directory.
        environ: The environment; default this process's.

    Returns:
        The settings.

    Raises:
        ConfigurationErrors: All that is wrong, each with its name, what was expected and what came.
    """
    environment = Environment.read(environ)
    given = {name: value for name, value in (flags or {}).items() if value is not None and value != []}
    path = _config_path(config, given, environment)
    table = read_file(path, environment.variables) if path is not None else {}
    in_file: dict[str, int] = {}
    for name in DEPLOYMENTS:
        extra = [*environment.deployments.get(name, ()), *given.pop(name, [])]
        known = table.get(name, [])
        if extra and isinstance(known, list):
            in_file[name] = len(known)
            table = {**table, name: [*known, *({"url": url} for url in extra)]}
    sources = Sources(flags=frozenset(given), variables=frozenset(environment.server), file=path, in_file=in_file)

    if isinstance(table.get("server", {}), dict):
        table = {**table, "server": {**table.get("server", {}), **environment.server, **given}}
    try:
        settings = Settings.model_validate(table)
    except ValidationError as error:
        wrong = error.errors()
        raise ConfigurationErrors(
            [_translated(item, sources) for item in wrong] + _further(table, wrong, sources)
        ) from None
    settings.check(sources)
    return settings


def _further(table: Mapping[str, Any], wrong: Sequence[Any], sources: Sources) -> list[ConfigurationError]:
    """Return what else is wrong beside the values that cannot be read, so that all is told at once."""
    rest = copy.deepcopy(dict(table))
    for item in wrong:
        place: Any = rest
        *above, last = item["loc"]
        for part in above:
            place = place[part] if isinstance(place, list) or part in place else {}
        # A list keeps its places, so that what is behind keeps its number.
        if isinstance(place, dict):
            place.pop(last, None)
    for name in DEPLOYMENTS:
        if isinstance(rest.get(name), list):
            rest[name] = [each if "url" in each else {"url": "redis://"} for each in rest[name]]
    try:
        Settings.model_validate(rest).check(sources)
    except ConfigurationErrors as error:
        said = {sources.name(*item["loc"]) for item in wrong}
        return [each for each in error.errors if each.setting not in said]
    except ValidationError:
        pass
    return []


def _config_path(config: Path | None, flags: Mapping[str, Any], environment: Environment) -> Path | None:
    named = config or environment.config
    if named is not None:
        if not named.is_file():
            raise ConfigurationErrors(
                [
                    ConfigurationError(
                        "--config" if config is not None else "HUOYAN_CONFIG",
                        "the path of a file",
                        str(named),
                        "There is no such file",
                    )
                ]
            )
        return named
    data_dir = flags.get("data_dir") or environment.server.get("data_dir") or ServerSettings().data_dir
    candidates = (Path("huoyan.toml"), Path(data_dir) / "huoyan.toml")
    return next((path for path in candidates if path.is_file()), None)


def _translated(item: Any, sources: Sources) -> ConfigurationError:
    """Say what pydantic found in our words."""
    loc: tuple[str | int, ...] = tuple(item["loc"])
    setting = sources.name(*loc)
    kind = item["type"]
    if kind == "extra_forbidden":
        known = _known_keys(loc)
        where = f"a setting of {_SECTIONS.get(str(loc[0]), loc[0])}" if len(loc) > 1 else "a section"
        return ConfigurationError(setting, where, str(loc[-1]), _sentence(nearest(str(loc[-1]), known)))
    if kind == "missing":
        return ConfigurationError(setting, "a value", NOTHING, f"Write {loc[-1]} = …")
    context = item.get("ctx") or {}
    expected = {
        "int_parsing": "a whole number",
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_parsing": "a number",
        "float_type": "a number",
        "string_type": "a text",
        "path_type": "a path",
        "string_too_short": f"at least {context.get('min_length')} characters",
        "string_too_long": f"at most {context.get('max_length')} characters",
        "greater_than_equal": f"at least {context.get('ge')}",
        "less_than_equal": f"at most {context.get('le')}",
        "literal_error": f"{context.get('expected')}",
        "tuple_type": f"tables [[{loc[0]}]]",
        "dict_type": "a table",
        "model_type": "a table",
        "model_attributes_type": "a table",
    }.get(kind, str(item["msg"]))
    if loc == ("server", "port"):
        expected = "a port from 0 to 65535"
    secret = loc[-1] in ("token", "database_url", "url", "password") or (loc and loc[0] in ("receivers",))
    got = item.get("input")
    if isinstance(got, (dict, list, tuple)):
        # Whatever is inside a table in the wrong place may be a secret.
        got = NOTHING if not got else A_TABLE if isinstance(got, dict) else A_LIST
    return ConfigurationError(setting, expected, HIDDEN if secret else got)


_SECTIONS = {
    "server": "[server]",
    "celery": "[[celery]]",
    "rq": "[[rq]]",
    "prometheus": "[prometheus]",
    "truth": "[truth]",
}


def _known_keys(loc: tuple[str | int, ...]) -> list[str]:
    if len(loc) == 1:
        return list(Settings.model_fields)
    sections: dict[str, type[BaseModel]] = {
        "server": ServerSettings,
        "celery": CelerySettings,
        "rq": RqSettings,
        "prometheus": PrometheusSettings,
        "truth": TruthSettings,
    }
    section = sections.get(str(loc[0]))
    return list(section.model_fields) if section is not None else []


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _refuse(errors: list[ConfigurationError]) -> None:
    if errors:
        raise ConfigurationErrors(errors)
