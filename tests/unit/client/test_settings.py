"""Settings come from the environment and from keyword arguments, and are checked whole."""

import pytest

from huoyan.client.settings import NAMES, Settings, load
from huoyan.errors import ConfigurationError


def test_without_an_environment_nothing_is_sent_and_watching_is_on() -> None:
    settings = load(environ={})
    assert settings == Settings()
    assert settings.enabled
    assert not settings.connected


def test_the_environment_sets_everything() -> None:
    settings = load(
        environ={
            "HUOYAN_URL": " https://watch.example:8650/base/ ",
            "HUOYAN_TOKEN": "t0ken",
            "HUOYAN_SERVICE": "orders",
            "HUOYAN_ENABLED": "yes",
            "HUOYAN_CAPTURE": "off",
            "HUOYAN_SCRUB": "maiden_name, birthday,",
            "HUOYAN_BUFFER_EVENTS": "1_000",
            "HUOYAN_FLUSH_INTERVAL_S": "0.5",
        }
    )
    assert settings.url == "https://watch.example:8650/base"
    assert (settings.token, settings.service) == ("t0ken", "orders")
    assert (settings.enabled, settings.capture) == (True, False)
    assert settings.scrub == ("maiden_name", "birthday")
    assert (settings.buffer_events, settings.flush_interval_s) == (1000, 0.5)
    assert settings.connected


def test_every_setting_can_be_given_in_the_environment_and_in_code() -> None:
    for name in NAMES:
        given = getattr(Settings(), name)
        written = ",".join(map(str, given)) if isinstance(given, tuple) else str(given)
        assert getattr(load(environ={f"HUOYAN_{name.upper()}": written}), name) == given
        assert getattr(load({name: given}, {}), name) == given
    assert load(environ={"HUOYAN_VERSION": " 2.4.1 "}).version == "2.4.1"


def test_keyword_arguments_win_and_none_means_not_given() -> None:
    environ = {"HUOYAN_SERVICE": "from-environment", "HUOYAN_URL": "http://a:1"}
    settings = load({"service": "from-code", "url": None}, environ)
    assert (settings.service, settings.url) == ("from-code", "http://a:1")


def test_names_of_the_server_are_left_alone() -> None:
    assert load(environ={"HUOYAN_PORT": "nonsense", "HUOYAN_DATABASE_URL": "x"}) == Settings()


def test_disabled_is_not_connected() -> None:
    assert not load(environ={"HUOYAN_URL": "http://a", "HUOYAN_ENABLED": "0"}).connected


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"HUOYAN_URL": "watch.example:8650"}, "HUOYAN_URL"),
        ({"HUOYAN_URL": "ftp://watch"}, "HUOYAN_URL"),
        ({"HUOYAN_URL": "http://host:port"}, "HUOYAN_URL"),
        ({"HUOYAN_URL": "http://"}, "HUOYAN_URL"),
        ({"HUOYAN_ENABLED": "perhaps"}, "HUOYAN_ENABLED"),
        ({"HUOYAN_BUFFER_EVENTS": "many"}, "HUOYAN_BUFFER_EVENTS"),
        ({"HUOYAN_BUFFER_EVENTS": "0"}, "HUOYAN_BUFFER_EVENTS"),
        ({"HUOYAN_TIMEOUT_S": "5s"}, "HUOYAN_TIMEOUT_S"),
        ({"HUOYAN_TIMEOUT_S": "nan"}, "HUOYAN_TIMEOUT_S"),
        ({"HUOYAN_TOKEN": "a\nb"}, "HUOYAN_TOKEN"),
        ({"HUOYAN_SCRUB": "name,123"}, "HUOYAN_SCRUB"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_it_was_written_under(environ: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named) as caught:
        load(environ=environ)
    assert caught.value.setting == named
    assert "expected" in str(caught.value)


@pytest.mark.parametrize(
    "overrides", [{"url": 8650}, {"enabled": "maybe"}, {"buffer_bytes": True}, {"batch_events": 1.5}, {"timeout_s": -1}]
)
def test_a_wrong_keyword_argument_is_refused(overrides: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(overrides, {})
    assert caught.value.setting == next(iter(overrides))


def test_an_unknown_keyword_argument_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean token"):
        load({"tokn": "x"}, {})


def test_neither_repr_nor_errors_show_the_token() -> None:
    assert "t0ps3cret" not in repr(load({"token": "t0ps3cret"}, {}))
    with pytest.raises(ConfigurationError) as caught:
        load({"token": "t0ps3cret\n2"}, {})
    assert "t0ps3cret" not in str(caught.value)


def test_every_setting_is_documented_in_the_class() -> None:
    assert Settings.__doc__ is not None
    assert [name for name in NAMES if f"        {name}: " not in Settings.__doc__] == []
