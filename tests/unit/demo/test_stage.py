import tomllib
from pathlib import Path

import pytest

from huoyan.demo.broker import VARIABLE, Redis, find_redis
from huoyan.demo.configuration import ALERTS_TO, settings_text
from huoyan.demo.preparation import check_port, find_applications, folder_for, is_temporary
from huoyan.demo.stage import CELERY_WORKER, LISTENERS, Stage
from huoyan.demo.supervisor import Supervisor
from huoyan.errors import AlreadyRunning, ConfigurationError
from huoyan.server.config import load
from tests.servers import HttpSink, free_port


def stage(folder: Path, redis: Redis) -> Stage:
    return Stage(8650, {name: 8651 + index for index, name in enumerate(LISTENERS)}, folder, find_applications(), redis)


def test_the_server_accepts_its_settings_file(tmp_path, monkeypatch):
    path = tmp_path / "huoyan.toml"
    path.write_text(settings_text(8700, 8706))
    monkeypatch.chdir(tmp_path)
    for name in ("HUOYAN_PORT", "HUOYAN_TOKEN", "HUOYAN_DATA_DIR", "HUOYAN_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    settings = load({}, path)
    assert settings.server.port == 8700
    assert {rule.name for rule in settings.alert_rules()} >= {"task-failures", "slow-inventory", "worker-down"}
    (receiver,) = settings.notify_receivers()
    assert ALERTS_TO in receiver.describe()
    assert "8706" in receiver.describe()


def test_the_server_watches_the_broker_where_there_is_one():
    assert "celery" not in tomllib.loads(settings_text(1, 2))
    with_broker = tomllib.loads(settings_text(1, 2, "redis://127.0.0.1:6379/0"))
    assert with_broker["celery"] == [{"url": "redis://127.0.0.1:6379/0", "service": "orders"}]


def test_settings_for_other_servers_do_not_reach_the_processes(tmp_path, monkeypatch):
    monkeypatch.setenv("HUOYAN_TOKEN", "of-another-server")
    monkeypatch.setenv("HUOYAN_DATABASE_URL", "postgresql://elsewhere/db")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    environment = stage(tmp_path, Redis()).environment()
    assert "HUOYAN_TOKEN" not in environment
    assert "HUOYAN_DATABASE_URL" not in environment
    assert environment["HUOYAN_URL"] == "http://127.0.0.1:8650"
    assert environment["PYTHONPATH"].endswith(":/somewhere")


def test_without_redis_there_is_no_celery_worker_and_no_fault_for_it(tmp_path):
    lonely = stage(tmp_path, Redis())
    assert CELERY_WORKER not in {role.name for role in lonely.roles()}
    faults = lonely.faults(Supervisor([], {}, tmp_path, tmp_path, lambda notice: None))
    assert "celery-killed" not in {fault.name for fault in faults}
    assert lonely.celery_url == ""


def test_with_a_redis_program_a_redis_and_a_celery_worker_join(tmp_path):
    joined = stage(tmp_path, Redis(program="/usr/bin/redis-server"))
    roles = {role.name: role for role in joined.roles()}
    assert {"redis", CELERY_WORKER} <= set(roles)
    assert joined.environment()["ORDERS_CELERY_URL"] == f"redis://127.0.0.1:{joined.ports['redis']}/0"


def test_a_redis_that_runs_already_is_used_and_not_started(tmp_path):
    joined = stage(tmp_path, Redis(url="redis://127.0.0.1:6379/15"))
    names = {role.name for role in joined.roles()}
    assert CELERY_WORKER in names
    assert "redis" not in names
    assert joined.celery_url == "redis://127.0.0.1:6379/15"


def test_a_redis_address_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv(VARIABLE, "127.0.0.1:6379")
    with pytest.raises(ConfigurationError, match=VARIABLE):
        find_redis()


def test_a_redis_that_does_not_answer_is_told_before_anything_starts(monkeypatch):
    monkeypatch.setenv(VARIABLE, f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(ConfigurationError, match="a Redis that answers"):
        find_redis()


def test_a_redis_that_answers_is_taken(monkeypatch, redis_server):
    monkeypatch.setenv(VARIABLE, redis_server.url)
    assert find_redis().url == redis_server.url


def test_a_busy_port_is_told_with_the_ways_to_choose_another():
    with HttpSink() as sink:
        port = int(sink.url.rsplit(":", 1)[1])
        with pytest.raises(AlreadyRunning, match=rf"port {port} .*--port \d+.*HUOYAN_PORT=\d+ make demo"):
            check_port(port)


def test_data_goes_under_the_current_folder_by_port(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert folder_for(8650) == tmp_path / "huoyan-data" / "demo"
    assert folder_for(9000) == tmp_path / "huoyan-data" / "demo-9000"


def test_a_folder_that_is_somebody_elses_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    theirs = tmp_path / "huoyan-data" / "demo"
    theirs.mkdir(parents=True)
    (theirs / "precious").write_text("kept")
    chosen = folder_for(8650)
    assert chosen != theirs
    assert chosen.is_dir()
    assert (theirs / "precious").read_text() == "kept"
    assert is_temporary(chosen)
    assert not is_temporary(theirs)
    chosen.rmdir()


def test_both_applications_are_found():
    assert (find_applications() / "examples" / "mail" / "app.py").is_file()
