"""What incidents say in Chinese, made from what is stored, beside the English that is stored."""

import re

import pytest

from huoyan.model.incident import EntryKind, TimelineEntry
from huoyan.server.incident import account, timeline
from huoyan.server.incident.facts import TopFailure
from huoyan.signals.metrics.work import WORKER_UP
from tests.servers import migrated_sqlite
from tests.unit.server.alert.scene import BURST, MAIL, PAY, Scene

WARNING = {**BURST, "name": "some", "threshold": 0.05, "level": "warning", "group": "failures"}
CRITICAL = {**BURST, "name": "most", "threshold": 0.5, "level": "critical", "group": "failures"}
TOP = TopFailure("f1", "ProviderDown: no answer", 43, 45, "run-1", "shop.ProviderDown")


@pytest.fixture
def url(tmp_path):
    return migrated_sqlite(tmp_path / "huoyan.db")


def _burst(scene, labels=PAY, succeeded=4, failed=6) -> None:
    scene.runs(labels, succeeded=succeeded, failed=failed)
    scene.judge()


def _end(scene) -> None:
    scene.pass_s(60)
    scene.runs(succeeded=20)
    scene.pass_s(16)


def _lines(scene, language="zh") -> list[str]:
    return [timeline.text(entry, language) for entry in scene.store.incidents.timeline(scene.incident_id())]


def _titles(scene) -> tuple[str, str | None]:
    incident = scene.incident()
    return incident.title, timeline.title(scene.store.incidents.timeline(incident.id or 0), "zh")


def _summaries(scene) -> tuple[str, str]:
    incident = scene.incident()
    alerts = scene.store.alerts.for_incident(incident.id or 0)
    return incident.summary, account.summary(incident, alerts, "zh")


def test_an_incident_from_its_beginning_to_its_end(url):
    scene = Scene(url, facts=lambda alert, now: TOP)
    _burst(scene)
    assert _titles(scene) == (
        "orders.take_payment: failure ratio 60 % (> 20 %)",
        "orders.take_payment：失败率 60 %（> 20 %）",
    )
    english, chinese = _summaries(scene)
    assert english == (
        "Failure ratio of orders.take_payment is 60 % over 1 min (> 20 %) since 21:15:03 UTC; "
        "43 of 45 failures are ProviderDown: no answer."
    )
    assert chinese == (
        "orders.take_payment 的失败率为 60 %（统计窗口 1 分钟，阈值 > 20 %），始于 21:15:03 UTC；"
        "45 次失败中有 43 次为 ProviderDown: no answer。"
    )
    _end(scene)
    assert _titles(scene)[1] == "orders.take_payment：失败率 60 %（> 20 %）"
    english, chinese = _summaries(scene)
    assert english == (
        "Failure ratio of orders.take_payment reached 60 % over 1 min (> 20 %) from 21:15:03 to 21:16:19 UTC "
        "(1 min 16 s); 43 of 45 failures were ProviderDown: no answer."
    )
    assert chinese == (
        "orders.take_payment 的失败率最高达 60 %（统计窗口 1 分钟，阈值 > 20 %），21:15:03 至 21:16:19 UTC，"
        "历时 1 分钟 16 秒；45 次失败中有 43 次为 ProviderDown: no answer。"
    )
    assert _lines(scene) == [
        "orders.take_payment 的失败率为 60 %（统计窗口 1 分钟，阈值 > 20 %）",
        "orders.take_payment 的失败率已恢复正常并保持 15 秒：0 %（阈值 > 20 %）",
        "所有告警均已恢复正常，历时 1 分钟 16 秒",
    ]


def test_a_value_that_is_better_now_stands_behind_the_worst(url):
    scene = Scene(url)
    _burst(scene, succeeded=0, failed=10)
    scene.pass_s(6)
    scene.runs(succeeded=10)
    scene.pass_s(1)
    assert _summaries(scene)[1] == (
        "orders.take_payment 的失败率最高达 100 %（统计窗口 1 分钟，阈值 > 20 %），现为 50 %，始于 21:15:03 UTC。"
    )


@pytest.mark.parametrize(
    ("failure", "english", "chinese"),
    [
        (TopFailure("f", "E: x", 45, 45, "r"), "all 45 failures are E: x.", "45 次失败均为 E: x。"),
        (
            TopFailure("f", "lost: the process is gone", 3, 3, "r", "lost", "丢失：进程已经不在"),
            "all 3 failures are lost: the process is gone.",
            "3 次失败均为 丢失：进程已经不在。",
        ),
        (TopFailure("f", "E: x", 1, 1, "r"), "the failure is E: x.", "1 次失败均为 E: x。"),
        (
            TopFailure("f", "E: x", 1200, 3400, "r"),
            "1,200 of 3,400 failures are E: x.",
            "3,400 次失败中有 1,200 次为 E: x。",
        ),
    ],
)
def test_how_many_of_the_failures_it_is_reads_well(url, failure, english, chinese):
    scene = Scene(url, facts=lambda alert, now: failure)
    _burst(scene)
    said, said_zh = _summaries(scene)
    assert said.endswith(f"; {english}")
    assert said_zh.endswith(f"；{chinese}")


def test_too_little_is_said_to_have_fallen(url):
    scene = Scene(url, {**BURST, "signal": "task_runs_per_minute", "op": "<", "threshold": 30, "min_samples": 0})
    _burst(scene, succeeded=12, failed=0)
    scene.incidents.resolve(scene.incident_id(), "Ann")
    english, chinese = _summaries(scene)
    assert english.startswith("Runs per minute of orders.take_payment fell to 12 over 1 min (< 30) from")
    assert chinese.startswith("orders.take_payment 的每分钟执行数最低至 12（统计窗口 1 分钟，阈值 < 30），")


def test_an_escalation_and_the_title_of_several_alerts(url):
    scene = Scene(url, WARNING, CRITICAL)
    _burst(scene, succeeded=18, failed=2)
    _burst(scene, succeeded=0, failed=40)
    assert _titles(scene) == (
        "orders.take_payment: failure ratio 70 % (> 50 %)",
        "orders.take_payment：失败率 70 %（> 50 %）",
    )
    said = "orders.take_payment 的失败率为 70 %（统计窗口 1 分钟，阈值 > 50 %）"
    assert _lines(scene)[1:] == [said, f"级别由警告升为严重：{said}"]


def test_a_milder_alert_that_joins_leaves_the_title_to_the_leading_one(url):
    scene = Scene(
        url, {**CRITICAL, "by": ["service", "task", "queue"]}, {**WARNING, "by": ["service", "task", "queue"]}
    )
    _burst(scene)
    scene.clock.at += 5
    _burst(scene, {**PAY, "queue": "express"}, succeeded=18, failed=2)
    english, chinese = _titles(scene)
    assert english == "orders.take_payment (queue default): failure ratio 60 % (> 50 %), and 1 more"
    assert chinese == "orders.take_payment (队列 default)：失败率 60 %（> 50 %），另有 1 处"


def test_what_people_wrote_is_left_as_they_wrote_it(url):
    scene = Scene(url)
    _burst(scene)
    number = scene.incident_id()
    scene.incidents.acknowledge(number, "李伟", "正在联系支付渠道")
    scene.incidents.comment(number, "Ann", "all alerts are good again, after 47 s")
    scene.incidents.resolve(number, "huoyan", "by hand")
    assert _lines(scene)[1:] == ["正在联系支付渠道", "all alerts are good again, after 47 s", "by hand"]


def test_what_still_fires_after_it_was_resolved_by_hand(url):
    scene = Scene(url)
    _burst(scene)
    scene.incidents.resolve(scene.incident_id(), "Ann")
    for _ in range(300):
        scene.runs(failed=1)
        scene.pass_s(1)
    scene.incidents.run_once()
    assert _lines(scene, "en")[-1].endswith("(> 20 %); still firing 5 min after it was resolved")
    assert re.fullmatch(
        r"orders\.take_payment 的失败率为 \d+ %（统计窗口 1 分钟，阈值 > 20 %）；标记解决 5 分钟后仍在告警",
        _lines(scene)[-1],
    )


def test_a_resolved_incident_tells_what_was_known_at_its_end(url):
    scene = Scene(url)
    _burst(scene)
    scene.incidents.resolve(scene.incident_id(), "Ann")
    scene.runs(failed=90)
    scene.pass_s(6)
    incident = scene.incident()
    (alert,) = scene.store.alerts.for_incident(incident.id or 0)
    assert alert.worst == 0.96
    end = timeline.alert_of(scene.store.incidents.timeline(incident.id or 0)[-1])
    assert account.summary(incident, [alert], at_the_end=end) == incident.summary
    assert "最高达 60 %" in account.summary(incident, [alert], "zh", at_the_end=end)


def test_a_worker_that_is_gone_is_said_in_words(url):
    scene = Scene(
        url, {"name": "w", "signal": "workers_down", "by": ["worker"], "keep_firing": 0, "op": ">", "threshold": 0}
    )
    scene.source.set(WORKER_UP, {"worker": "celery@a"}, scene.clock.at, 0)
    scene.judge()
    assert _titles(scene) == ("worker celery@a: down, it stopped reporting", "工作进程 celery@a：已停止上报")
    assert _summaries(scene) == (
        "Worker celery@a is down, it stopped reporting, since 21:15:03 UTC.",
        "工作进程 celery@a 已停止上报，始于 21:15:03 UTC。",
    )
    scene.clock.at += 60
    scene.source.set(WORKER_UP, {"worker": "celery@a"}, scene.clock.at, 1)
    scene.judge()
    assert _summaries(scene) == (
        "Worker celery@a was down, it stopped reporting, from 21:15:03 to 21:16:03 UTC (1 min).",
        "工作进程 celery@a 曾停止上报，21:15:03 至 21:16:03 UTC，历时 1 分钟。",
    )
    assert _lines(scene)[1] == "工作进程 celery@a 已恢复"


def test_lines_without_facts_are_shown_as_they_are():
    bare = TimelineEntry(at=0.0, kind=EntryKind.OPENED, text="it began", data={"value": 9.0})
    assert timeline.text(bare, "zh") == "it began"
    assert timeline.title([bare], "zh") is None
    assert timeline.alert_of(bare) is None


def test_two_incidents_keep_their_lines_apart(url):
    scene = Scene(url)
    _burst(scene)
    _burst(scene, MAIL)
    ids = [incident.id or 0 for incident in scene.store.incidents.page().items]
    lines = scene.store.incidents.last_lines(ids, timeline.TITLING)
    titles = {timeline.title(lines[number], "zh") for number in ids}
    assert titles == {"orders.take_payment：失败率 60 %（> 20 %）", "mail.send：失败率 60 %（> 20 %）"}
