"""`watch` finds the integration by type name, is harmless when repeated, and refuses what it does not know."""

import gc
import importlib
import sys
import weakref
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import pytest

import huoyan
from huoyan.client import process
from huoyan.client import watch as watching
from huoyan.client.process import Client
from huoyan.client.reporter import Reporter
from huoyan.client.settings import Settings
from huoyan.errors import ConfigurationError
from tests.unit.client.conftest import installed


class App:
    """Stands for a framework's application."""


class SubApp(App):
    """Stands for a user's subclass of it."""


class Recorder:
    """An integration that only remembers."""

    framework = "toy"
    options = frozenset({"depth"})

    def __init__(self) -> None:
        self.watched: list[tuple[Any, Reporter, dict[str, Any]]] = []
        self.unwatched: list[Any] = []
        self.fail = False

    def watch(self, thing: Any, reporter: Reporter, options: Mapping[str, Any]) -> None:
        if self.fail:
            raise ConfigurationError("depth", "a number", options.get("depth"))
        self.watched.append((thing, reporter, dict(options)))

    def unwatch(self, thing: Any) -> None:
        self.unwatched.append(thing)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, client: Client) -> Recorder:
    """Register an integration for `App`."""
    module = ModuleType("toy_integration")
    recorder = Recorder()
    module.integration = recorder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toy_integration", module)
    table = {**watching.TABLE, f"{App.__module__}.App": ("toy_integration:integration",)}
    monkeypatch.setattr(watching, "TABLE", table)
    return recorder


def test_watch_returns_the_thing_and_hooks_in_once(toy: Recorder) -> None:
    app = App()
    assert huoyan.watch(app) is app
    assert huoyan.watch(app) is app
    assert [each[0] for each in toy.watched] == [app]


def test_a_subclass_is_known_by_its_base(toy: Recorder) -> None:
    app = huoyan.watch(SubApp())
    assert toy.watched[0][0] is app


def test_options_reach_the_integration_and_the_reporter(toy: Recorder) -> None:
    huoyan.watch(App(), depth=3, service="billing", labels={"team": "red"})
    _, reporter, options = toy.watched[0]
    assert options == {"depth": 3}
    assert (reporter.service, reporter.framework, reporter.labels) == ("billing", "toy", {"team": "red"})


def test_the_service_of_the_settings_is_the_default(toy: Recorder) -> None:
    huoyan.watch(App())
    assert toy.watched[0][1].service == "shop"


def test_settings_may_be_given_to_watch(toy: Recorder) -> None:
    huoyan.watch(App(), url="http://127.0.0.1:9", capture=False)
    settings = process.client().settings
    assert (settings.url, settings.capture) == ("http://127.0.0.1:9", False)


def test_an_unknown_option_is_refused_with_the_nearest(toy: Recorder) -> None:
    with pytest.raises(ConfigurationError, match="Did you mean depth"):
        huoyan.watch(App(), dept=3)
    assert toy.watched == []


@pytest.mark.parametrize("options", [{"service": ""}, {"service": 5}, {"labels": {"a": 1}}, {"labels": "a=b"}])
def test_wrong_common_options_are_refused(toy: Recorder, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        huoyan.watch(App(), **options)


def test_unwatch_undoes_and_watching_again_hooks_in_again(toy: Recorder) -> None:
    app = huoyan.watch(App())
    huoyan.unwatch(app)
    huoyan.unwatch(app)
    assert toy.unwatched == [app]
    huoyan.watch(app)
    assert len(toy.watched) == 2


def test_a_thing_whose_hooks_were_refused_is_not_watched(toy: Recorder) -> None:
    app = App()
    toy.fail = True
    with pytest.raises(ConfigurationError):
        huoyan.watch(app)
    assert not watching.is_watched(app)
    toy.fail = False
    huoyan.watch(app)
    assert watching.is_watched(app)


def test_a_watched_thing_may_be_collected(toy: Recorder) -> None:
    app = huoyan.watch(App())
    toy.watched.clear()
    gone = weakref.ref(app)
    key = id(app)
    del app
    gc.collect()
    assert gone() is None
    assert key not in watching._watched


def test_a_lazy_proxy_is_looked_through(toy: Recorder) -> None:
    app = App()

    class Proxy:
        def _get_current_object(self) -> App:
            return app

    huoyan.watch(Proxy())
    huoyan.watch(app)
    assert [each[0] for each in toy.watched] == [app]


@pytest.mark.parametrize("thing", [object(), 5, None, "app", [], len])
def test_an_unknown_type_is_refused_with_the_list_of_known_ones(client: Client, thing: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        huoyan.watch(thing)
    assert all(name in str(caught.value) for name in watching.supported())
    assert {"fastapi.FastAPI", "redis.Redis", "rq.BaseWorker"} < set(watching.supported())


@pytest.mark.parametrize("port", ["8009", 65_536, True])
def test_a_port_that_is_none_is_a_mistake_in_the_wiring(client: Client, port: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^port: expected a whole number from 0 to 65,535, got"):
        huoyan.serve_metrics(port)


@pytest.mark.parametrize("serve", [huoyan.metrics_app, lambda registry: huoyan.serve_metrics(0, registry=registry)])
def test_a_registry_that_is_none_is_a_mistake_in_the_wiring(client: Client, serve: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^registry: expected a prometheus_client.CollectorRegistry, got 3"):
        serve(3)


def test_a_class_instead_of_an_instance_is_explained(toy: Recorder) -> None:
    with pytest.raises(ConfigurationError, match=r"^watch: expected an instance of App, got 'the class App'\."):
        huoyan.watch(App)


def test_a_function_is_pointed_to_the_decorator(client: Client) -> None:
    with pytest.raises(ConfigurationError, match=r"@huoyan\.task"):
        huoyan.watch(lambda: None)


def test_when_disabled_nothing_is_hooked(toy: Recorder) -> None:
    with installed(Client(Settings(enabled=False))):
        app = huoyan.watch(App())
    assert toy.watched == []
    assert not watching.is_watched(app)


def test_when_disabled_a_wrong_option_is_still_refused(toy: Recorder) -> None:
    with installed(Client(Settings(enabled=False))), pytest.raises(ConfigurationError):
        huoyan.watch(App(), dept=3)


def test_every_place_in_the_table_holds_an_integration() -> None:
    for places in watching.TABLE.values():
        for place in places:
            module, _, name = place.partition(":")
            integration = getattr(importlib.import_module(module), name)
            assert isinstance(integration.framework, str)
            assert isinstance(integration.options, frozenset)
            assert callable(integration.watch)
            assert callable(integration.unwatch)


def test_configure_keeps_what_was_given_before(client: Client) -> None:
    huoyan.configure(service="orders", capture=False)
    huoyan.configure(timeout_s=3)
    settings = process.client().settings
    assert (settings.service, settings.capture, settings.timeout_s) == ("orders", False, 3.0)


def test_configure_refuses_wrong_values_and_changes_nothing(client: Client) -> None:
    before = process.client().settings
    with pytest.raises(ConfigurationError, match="url"):
        huoyan.configure(url="nonsense", service="x")
    assert process.client().settings == before


def test_reporters_made_earlier_follow_a_later_configuration(toy: Recorder) -> None:
    huoyan.watch(App())
    reporter = toy.watched[0][1]
    huoyan.configure(timeout_s=7)
    assert reporter.settings.timeout_s == 7


def test_flush_without_a_client_or_server_is_true() -> None:
    before = process.install(None)
    try:
        assert huoyan.flush()
    finally:
        process.install(before)
    with installed(Client(Settings())):
        assert huoyan.flush(0.1)
