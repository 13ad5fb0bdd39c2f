"""Why an alert is in its state, said in Chinese from what is stored alone."""

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huoyan.model.alert import Alert, AlertState, Level
from huoyan.server.alert.evaluate import TransitionKind, withdraw
from huoyan.server.alert.reason import _sentences, reason
from huoyan.signals.spec import Op
from tests.unit.server.alert.life import PAY, Life, failing


def _stored(alert) -> Alert:
    """Return an alert as a database would give it back."""
    fields = json.loads(json.dumps(asdict(alert)))
    return Alert(**{**fields, "level": Level(fields["level"]), "state": AlertState(fields["state"])})


def _last(life, language="zh") -> str:
    return reason(_stored(life.seen[-1].alert), language, life.rule)


def test_every_stage_of_an_alert_is_said_in_chinese():
    life = Life(failing(for_s=30, keep_firing_s=15, stale_s=60))
    life.at(0, 0.62)
    assert _last(life) == "orders.take_payment 的失败率为 62 %（统计窗口 5 分钟，阈值 > 20 %）；持续 30 秒后触发"
    life.at(30, 0.62)
    assert _last(life) == "orders.take_payment 的失败率为 62 %（统计窗口 5 分钟，阈值 > 20 %），持续 30 秒后触发"
    life.at(40, 0.1)
    assert _last(life) == "orders.take_payment 的失败率已恢复正常：10 %（阈值 > 20 %）；保持 15 秒后解除"
    life.at(41)
    assert _last(life) == "orders.take_payment 的失败率已没有数据；持续 1 分钟后解除"
    life.at(42, blind=True)
    assert _last(life) == (
        "最后所见：orders.take_payment 的失败率为 10 %（统计窗口 5 分钟，阈值 > 20 %）；"
        "有事件来源已中断，其间不解除任何告警"
    )
    assert _last(life, "en") == (
        "failure ratio of orders.take_payment was 10 % over 5 min (> 20 %) when last seen; "
        "a source of events is cut off, so nothing resolves"
    )
    life.at(50, 0.1)
    life.at(65, 0.1)
    assert life.seen[-1].kind is TransitionKind.RESOLVED
    assert _last(life) == "orders.take_payment 的失败率已恢复正常并保持 15 秒：10 %（阈值 > 20 %）"


def test_the_end_of_an_alert_whose_value_or_rule_is_gone_is_said_in_chinese():
    life = Life(failing(stale_s=60))
    life.at(0, 0.62)
    gone = withdraw(life.now + 5, life.rule, life.alert)
    assert reason(_stored(gone.alert), "zh") == "规则 failing 已不在配置中"
    life.at(1)
    life.at(61)
    assert _last(life) == "orders.take_payment 的失败率已有 1 分钟没有数据"


@pytest.mark.parametrize(
    ("signal", "labels", "begun", "over"),
    [
        (
            "workers_down",
            {"worker": "celery@a"},
            "工作进程 celery@a 已停止上报",
            "工作进程 celery@a 已恢复并保持 20 秒",
        ),
        ("ingest_cut", {"source": "celery redis://h/0"}, "来源 celery redis://h/0 已中断，收不到事件", None),
        ("ingest_lag", {}, "采集延迟为 12 秒（阈值 > 0 秒）", "采集延迟已恢复正常并保持 20 秒：0 秒（阈值 > 0 秒）"),
    ],
)
def test_what_needs_no_figures_and_what_has_no_subject_are_said_plainly(signal, labels, begun, over):
    life = Life(failing(signal=signal, threshold=0.0, keep_firing_s=20, by=()))
    life.at(0, (labels, 12.0))
    assert _last(life) == begun
    life.at(5, (labels, 0.0))
    life.at(25, (labels, 0.0))
    if over is not None:
        assert _last(life) == over


def test_english_is_what_was_stored():
    life = Life(failing())
    life.at(0, 0.62)
    assert reason(replace(life.alert, reason="as it was written"), "en") == "as it was written"


def test_without_the_rule_its_times_are_left_out():
    life = Life(failing(for_s=30))
    life.at(0, 0.62)
    assert reason(_stored(life.alert), "zh") == (
        "orders.take_payment 的失败率为 62 %（统计窗口 5 分钟，阈值 > 20 %）；尚未触发"
    )
    changed = replace(life.rule, for_s=45)
    assert reason(_stored(life.alert), "zh", changed).endswith("；持续 45 秒后触发")


RULES = st.builds(
    failing,
    op=st.sampled_from([Op.ABOVE, Op.BELOW]),
    for_s=st.sampled_from([0, 7]),
    keep_firing_s=st.sampled_from([0, 4, 90]),
    stale_s=st.sampled_from([0, 6, 30]),
)
STEPS = st.lists(st.tuples(st.integers(1, 20), st.none() | st.floats(0, 1), st.booleans()), min_size=1, max_size=30)


@given(RULES, STEPS)
def test_which_sentence_was_stored_is_always_found_again(rule, steps):
    life, at = Life(rule), 0
    for pause_s, value, blind in steps:
        at += pause_s
        life.at(at, (PAY, value), blind=blind)
    if life.alerts:
        life.keep(withdraw(life.now, rule, life.alert))
    for transition in life.seen:
        if transition.kind is TransitionKind.CANCELLED:
            continue
        alert = _stored(transition.alert)
        english = [say(language="en") for say in _sentences(alert, rule)]
        assert alert.reason in english
        assert reason(alert, "zh", rule) == list(_sentences(alert, rule))[english.index(alert.reason)](language="zh")
