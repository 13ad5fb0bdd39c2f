"""Settings: where they come from, that everything wrong is told at once, and that secrets never print."""

from pathlib import Path
from typing import Any

import pytest

from huoyan.errors import ConfigurationError, ConfigurationErrors
from huoyan.server.address import shown_url
from huoyan.server.config import Settings, load


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(text: str, environ: dict[str, str] | None = None, **flags: Any) -> Settings:
    """Load `text` as ./huoyan.toml with nothing but the given environment and flags."""
    Path("huoyan.toml").write_text(text, encoding="utf-8")
    return load(flags, environ=environ or {})


def refused(text: str, environ: dict[str, str] | None = None, **flags: Any) -> list[ConfigurationError]:
    with pytest.raises(ConfigurationErrors) as caught:
        written(text, environ, **flags)
    assert caught.value.message == str(caught.value)
    return caught.value.errors


def messages(text: str, environ: dict[str, str] | None = None, **flags: Any) -> list[str]:
    return [error.message for error in refused(text, environ, **flags)]


class TestSources:
    def test_without_anything_the_defaults_of_the_documentation_hold(self) -> None:
        settings = load(environ={})
        assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8650)
        assert settings.server.data_dir == Path("huoyan-data")
        assert settings.token is None
        assert settings.store_url == f"sqlite:///{Path.cwd() / 'huoyan-data' / 'huoyan.db'}"
        assert settings.alert_rules()[0].name == "task-failure-burst"

    def test_a_variable_beats_the_file_and_a_flag_beats_both(self) -> None:
        text = '[server]\nport = 1001\nhost = "127.0.0.2"\nlog_level = "error"'
        settings = written(text, {"HUOYAN_PORT": "1002", "HUOYAN_HOST": "127.0.0.3"}, host="127.0.0.4")
        assert settings.server.port == 1002
        assert settings.server.host == "127.0.0.4"
        assert settings.server.log_level == "error"

    def test_every_server_setting_has_a_variable(self) -> None:
        environ = {
            "HUOYAN_HOST": "::1",
            "HUOYAN_PORT": "7000",
            "HUOYAN_DATA_DIR": "elsewhere",
            "HUOYAN_DATABASE_URL": "postgresql://huoyan@db/huoyan",
            "HUOYAN_TOKEN": "a-long-token",
            "HUOYAN_PUBLIC_URL": "https://huoyan.example.com/",
            "HUOYAN_RETENTION_DAYS": "3.5",
            "HUOYAN_LOG_LEVEL": "debug",
        }
        settings = load(environ=environ)
        assert {f"HUOYAN_{name.upper()}" for name in type(settings.server).model_fields} == set(environ)
        assert settings.server.port == 7000
        assert settings.server.data_dir == Path("elsewhere")
        assert settings.store_url == "postgresql://huoyan@db/huoyan"
        assert settings.token == "a-long-token"
        assert settings.public_url == "https://huoyan.example.com"
        assert settings.server.retention_days == 3.5

    def test_an_empty_variable_counts_as_not_set(self) -> None:
        assert written("[server]\nport = 1001", {"HUOYAN_PORT": "", "HUOYAN_TOKEN": " "}).server.port == 1001

    def test_variables_of_the_client_are_none_of_the_server_s_business(self) -> None:
        assert load(environ={"HUOYAN_SERVICE": "orders", "HUOYAN_ENABLED": "0", "HUOYAN_URL": "x"}) == load(environ={})

    def test_the_file_is_looked_for_here_and_then_in_the_data_directory(self) -> None:
        Path("data").mkdir()
        Path("data/huoyan.toml").write_text("[server]\nport = 1003")
        assert load({"data_dir": Path("data")}, environ={}).server.port == 1003
        assert load(environ={"HUOYAN_DATA_DIR": "data"}).server.port == 1003
        Path("huoyan.toml").write_text("[server]\nport = 1004")
        assert load({"data_dir": Path("data")}, environ={}).server.port == 1004

    def test_a_named_file_has_to_be_there(self) -> None:
        with pytest.raises(ConfigurationError, match=r"^--config: expected the path of a file, got 'gone.toml'"):
            load(config=Path("gone.toml"), environ={})
        with pytest.raises(ConfigurationError, match=r"^HUOYAN_CONFIG: expected the path of a file"):
            load(environ={"HUOYAN_CONFIG": "gone.toml"})

    def test_brokers_of_flags_and_variables_join_those_of_the_file(self) -> None:
        settings = written(
            '[[celery]]\nurl = "redis://one/0"\nservice = "orders"',
            {"HUOYAN_CELERY": "redis://two/0 amqp://three//"},
            celery=["redis://four/0"],
        )
        urls = [celery.url.get_secret_value() for celery in settings.celery]
        assert urls == ["redis://one/0", "redis://two/0", "amqp://three//", "redis://four/0"]

    def test_texts_of_the_file_may_name_variables(self) -> None:
        text = '[server]\ntoken = "${THE_TOKEN}-x"'
        assert written(text, {"THE_TOKEN": "12345678"}).token == "12345678-x"
        assert messages(text) == [
            "server.token: expected the variable THE_TOKEN to be set, got nothing. Set THE_TOKEN or write the value"
        ]

    def test_an_empty_list_of_rules_judges_nothing(self) -> None:
        assert written("rules = []").alert_rules() == ()


class TestRefusals:
    def test_everything_wrong_is_told_at_once(self) -> None:
        text = """
            [server]
            port = "many"
            prot = 1
            retention_days = -1
            [[celery]]
            url = "ftp://host"
            [[rules]]
            name = "a"
            signal = "task_failure_rato"
            [[rules]]
            name = "b"
            signal = "task_failures"
            threshold = 3
            for = "soon"
            [[receivers]]
            name = "ops"
            kind = "pigeon"
            [sever]
        """
        settings = [error.setting for error in refused(text)]
        assert settings == [
            "server.port",
            "server.retention_days",
            "server.prot",
            "sever",
            "celery[0].url",
            "rules[0].signal",
            "rules[1].for",
            "receivers[0].kind",
        ]

    def test_a_setting_is_named_the_way_it_was_written(self) -> None:
        assert messages("[server]\nport = 70000") == ["server.port: expected a port from 0 to 65535, got 70000"]
        assert messages("", {"HUOYAN_PORT": "x"}) == ["HUOYAN_PORT: expected a port from 0 to 65535, got 'x'"]
        assert messages("", port="x") == ["--port: expected a port from 0 to 65535, got 'x'"]
        assert [e.setting for e in refused("", celery=["nonsense"])] == ["--celery"]
        assert [e.setting for e in refused('[[celery]]\nurl = "nonsense"', celery=["redis://a"])] == ["celery[0].url"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "[server]\nprot = 1",
                "server.prot: expected a setting of [server], got 'prot'. Did you mean port or host?",
            ),
            ("[sevrer]", "sevrer: expected a section, got 'sevrer'. Did you mean server or celery?"),
            (
                '[[celery]]\nurl = "redis://a"\nmanagement_url = "auto"',
                "celery[0].management_url: expected nothing, because url is no RabbitMQ, got 'an address'",
            ),
            (
                '[[celery]]\nurl = "amqp://a"\nmanagement_url = "ftp://u:secret@a"',
                "celery[0].management_url: expected http://user:password@host:15672, https://…, or auto, got 'ftp://…'",
            ),
            (
                '[[celery]]\nurl = "redis://a"\nservcie = "x"',
                "celery[0].servcie: expected a setting of [[celery]], got 'servcie'. Did you mean service?",
            ),
            ("[[celery]]", "celery[0].url: expected a value, got nothing. Write url = …"),
            ("server = 3", "server: expected a table, got 3"),
            ("celery = 3", "celery: expected tables [[celery]], got 3"),
            (
                '[server]\nlog_level = "loud"',
                "server.log_level: expected 'debug', 'info', 'warning' or 'error', got 'loud'",
            ),
            (
                '[server]\npublic_url = "huoyan"',
                "server.public_url: expected an address such as https://huoyan.example.com, got '://huoyan'",
            ),
            (
                '[prometheus]\nurl = "localhost:9090"',
                "prometheus.url: expected an address such as http://127.0.0.1:9090, got a value that is not shown",
            ),
            (
                '[prometheus]\ntoken = "abc"',
                "prometheus.url: expected an address such as http://127.0.0.1:9090, got nothing. token is for its",
            ),
            (
                '[prometheus]\nurl = "http://p"\nusername = "me"',
                "prometheus.password: expected a value, got nothing. username and password go together",
            ),
            (
                '[prometheus]\nurl = "http://p"\ntoken = "a"\nusername = "me"\npassword = "b"',
                "prometheus.token: expected a token or a user, not both, got a value that is not shown",
            ),
            ('[prometheus]\nurl = "http://p"\ntimeout_s = 0', "prometheus.timeout_s: expected at least 0.1, got 0"),
            (
                '[prometheus]\nuser = "me"',
                "prometheus.user: expected a setting of [prometheus], got 'user'. Did you mean username or url?",
            ),
            ("[server", "huoyan.toml: expected TOML, got \"Expected ']' at the end of a table declaration"),
        ],
    )
    def test_a_wrong_setting_is_told_with_what_was_expected_and_what_came(self, text: str, message: str) -> None:
        (told,) = messages(text)
        assert told.startswith(message)

    def test_a_rule_may_only_name_receivers_that_exist(self) -> None:
        text = '[[rules]]\nname = "a"\nsignal = "task_failures"\nthreshold = 1\nreceivers = ["ops"]'
        assert [error.setting for error in refused(text)] == ["rules[0].receivers"]

    def test_two_rules_of_one_name_are_refused(self) -> None:
        rule = '[[rules]]\nname = "a"\nsignal = "task_failures"\nthreshold = 1\n'
        assert [error.setting for error in refused(rule + rule)] == ["rules[1].name"]


class TestListening:
    @pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
    def test_loopback_needs_no_token(self, host: str) -> None:
        assert written(f'[server]\nhost = "{host}"').token is None

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "huoyan.example.com"])
    def test_anything_else_is_refused_without_a_token(self, host: str) -> None:
        (error,) = refused(f'[server]\nhost = "{host}"')
        assert error.setting == "server.token"
        assert host in error.message
        assert "HUOYAN_TOKEN" in error.message
        assert written(f'[server]\nhost = "{host}"\ntoken = "long-enough"').token == "long-enough"

    def test_a_token_too_short_to_protect_anything_is_refused(self) -> None:
        (error,) = refused('[server]\nhost = "0.0.0.0"\ntoken = "1234567"')
        assert error.message.startswith("server.token: expected at least 8 characters, got a value that is not shown")

    def test_a_token_that_fits_in_no_header_is_refused(self) -> None:
        (error,) = refused('[server]\ntoken = "火眼金睛火眼金睛"')
        assert "visible ASCII" in error.message

    def test_settings_made_in_code_are_checked_as_well(self) -> None:
        with pytest.raises(ConfigurationErrors, match="token"):
            Settings.model_validate({"server": {"host": "0.0.0.0"}}).check()


class TestSecrets:
    SECRETS = ("hidden-token", "hidden-db", "hidden-broker", "hidden-mail", "hidden-prometheus")
    TEXT = """
        [server]
        token = "hidden-token"
        database_url = "postgresql://huoyan:hidden-db@db/huoyan"
        [[celery]]
        url = "redis://:hidden-broker@redis:6379/0"
        [prometheus]
        url = "https://prometheus.example.com/"
        username = "huoyan"
        password = "hidden-prometheus"
        [[receivers]]
        name = "ops"
        kind = "email"
        host = "smtp.example.com"
        username = "huoyan"
        password = "hidden-mail"
        from = "huoyan@example.com"
        to = ["ops@example.com"]
    """

    def test_secrets_never_print(self) -> None:
        settings = written(self.TEXT)
        for secret in self.SECRETS:
            for shown in (repr(settings), str(settings), settings.shown_store, repr(settings.notify_receivers())):
                assert secret not in shown
        assert settings.store_url == "postgresql://huoyan:hidden-db@db/huoyan"
        assert settings.shown_store == "postgresql://huoyan@db/huoyan"

    @pytest.mark.parametrize(
        "breakage",
        [
            ("redis://", "rodis://"),
            ("6379", "99999"),
            ("postgresql://", "mysql://"),
            ('token = "hidden-token"', 'token = ["hidden-token"]'),
            ('"hidden-mail"', '["hidden-mail"]'),
            ('database_url = "', 'database_url = "hidden-db '),
            ("[[receivers]]", "[receivers]"),
            ("[[celery]]", "[celery]"),
            ("hidden-token", "hidden-token 火"),
            ('"hidden-prometheus"', '["hidden-prometheus"]'),
            ("https://prometheus", "https://huoyan:hidden-prometheus@prometheus"),
            ("https://prometheus", "hidden-prometheus://prometheus"),
            ('username = "huoyan"', 'token = "hidden-prometheus"'),
            ("password =", "pasword ="),
            ("url =", "urll ="),
        ],
    )
    def test_no_message_about_a_wrong_setting_holds_a_secret(self, breakage: tuple[str, str]) -> None:
        assert breakage[0] in self.TEXT
        with pytest.raises(ConfigurationErrors) as caught:
            written(self.TEXT.replace(*breakage))
        for shown in (str(caught.value), repr(caught.value), repr(caught.value.errors)):
            for secret in self.SECRETS:
                assert secret not in shown

    def test_an_address_is_shown_without_password_and_parameters(self) -> None:
        assert shown_url("postgresql://me:pass@[::1]:5432/db?password=x") == "postgresql://me@[::1]:5432/db"
        assert shown_url("sqlite:////tmp/x.db") == "sqlite:////tmp/x.db"
        assert shown_url("redis://:pass@host:port/0") == "redis://…"
