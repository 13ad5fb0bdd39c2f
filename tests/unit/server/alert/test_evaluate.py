"""The life of an alert, decided from values alone."""

import json
import math
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huoyan.model.alert import Alert, AlertState, Level, labels_key
from huoyan.server.alert.evaluate import REFRESH_S, TransitionKind, evaluate, withdraw
from huoyan.signals.spec import Op
from tests.unit.server.alert.life import MAIL, PAY, START, Life
from tests.unit.server.alert.life import failing as _rule


def test_without_a_time_to_hold_it_fires_at_once():
    life = Life(_rule())
    assert life.at(0, 0.62) == ["firing"]
    assert life.alert.fired_at == START
    assert life.alert.reason == "failure ratio of orders.take_payment is 62 % over 5 min (> 20 %)"


def test_a_good_value_raises_nothing():
    assert Life(_rule()).at(0, 0.2) == []


def test_it_fires_when_the_condition_has_held_for_the_time_and_not_before():
    life = Life(_rule(for_s=30))
    assert life.at(0, 0.5) == ["pending"]
    assert life.at(29.9, 0.5) == []
    assert life.at(30, 0.5) == ["firing"]
    assert life.alert.pending_at == START
    assert life.alert.reason.endswith("for 30 s before it fired")


def test_a_good_value_in_between_starts_the_time_anew():
    life = Life(_rule(for_s=30))
    life.at(0, 0.5)
    assert life.at(20, 0.1) == ["cancelled"]
    assert life.at(25, 0.5) == ["pending"]
    assert life.at(40, 0.5) == []
    assert life.at(55, 0.5) == ["firing"]


def test_a_missing_value_fires_nothing_and_breaks_the_time_to_hold():
    life = Life(_rule(for_s=30))
    assert life.at(0) == []
    assert life.at(1, None) == []
    life.at(2, 0.5)
    assert life.at(10) == ["cancelled"]
    assert life.at(31, 0.5) == ["pending"]


def test_nan_is_no_value():
    assert Life(_rule()).at(0, math.nan) == []


def test_it_resolves_when_the_value_has_been_good_for_long_enough():
    life = Life(_rule(keep_firing_s=15))
    life.at(0, 0.5)
    assert life.at(10, 0.1) == ["update"]
    assert life.alert.state is AlertState.FIRING
    assert life.at(24.9, 0.1) == []
    assert life.at(25, 0.1) == ["resolved"]
    assert life.seen[-1].alert.resolved_at == START + 25
    assert life.seen[-1].reason == (
        "failure ratio of orders.take_payment has been good again for 15 s: 10 % (not > 20 %)"
    )


def test_flapping_fires_once():
    life = Life(_rule(keep_firing_s=15))
    kinds = [kind for second in range(0, 100, 5) for kind in life.at(second, 0.5 if second % 10 == 0 else 0.1)]
    assert kinds.count("firing") == 1
    assert kinds.count("resolved") == 0


def test_an_alert_whose_value_vanished_resolves_after_the_time_for_that():
    life = Life(_rule(stale_s=60))
    life.at(0, 0.5)
    assert life.at(10) == ["update"]
    assert life.at(69) == []
    assert life.at(70) == ["resolved"]
    assert "has had no value for 1 min" in life.seen[-1].reason


def test_a_value_that_comes_back_bad_keeps_the_alert_without_a_second_one():
    life = Life(_rule(stale_s=60))
    life.at(0, 0.5)
    life.at(10)
    assert life.at(65, 0.5) == ["update"]
    assert life.alert.absent_at is None
    assert life.at(120) == ["update"]
    assert life.at(179) == []


def test_a_value_that_was_good_and_then_went_missing_resolves_as_good():
    life = Life(_rule(keep_firing_s=15, stale_s=600))
    life.at(0, 0.5)
    life.at(10, 0.0)
    assert life.at(12) == ["update"]
    assert life.at(25) == ["resolved"]
    assert "good again" in life.seen[-1].reason


def test_each_set_of_labels_lives_its_own_life():
    life = Life(_rule())
    assert life.at(0, (PAY, 0.5), (MAIL, 0.5)) == ["firing", "firing"]
    life.at(10, (PAY, 0.5), (MAIL, 0.0))
    assert life.at(25, (PAY, 0.5), (MAIL, 0.0)) == ["resolved"]
    assert list(life.alerts) == [labels_key(PAY)]


def test_a_changing_value_is_written_down_at_most_every_few_seconds():
    life = Life(_rule())
    life.at(0, 0.5)
    assert life.at(REFRESH_S - 1, 0.6) == []
    assert life.at(REFRESH_S, 0.9) == ["update"]
    assert life.at(3 * REFRESH_S, 0.6) == ["update"]
    assert (life.alert.value, life.alert.worst) == (0.6, 0.9)


def test_the_worst_of_a_rule_about_too_little_is_the_least():
    life = Life(_rule(signal="task_runs_per_minute", op=Op.BELOW, threshold=10.0))
    life.at(0, 5.0)
    life.at(10, 2.0)
    life.at(20, 7.0)
    assert life.alert.worst == 2.0


def test_while_blind_nothing_resolves_and_the_times_start_anew_afterwards():
    life = Life(_rule(keep_firing_s=15, stale_s=60))
    life.at(0, 0.5)
    life.at(5, 0.0)
    assert life.at(10, 0.0, blind=True) == ["update"]
    assert life.at(500, 0.0, blind=True) == []
    assert life.at(900, blind=True) == []
    assert life.at(1000, 0.0) == ["update"]
    assert life.at(1014, 0.0) == []
    assert life.at(1015, 0.0) == ["resolved"]


def test_while_blind_too_little_means_nothing_and_too_much_still_does():
    few = Life(_rule(signal="task_runs_per_minute", op=Op.BELOW, threshold=10.0))
    assert few.at(0, 0.0, blind=True) == []
    assert Life(_rule()).at(0, 0.9, blind=True) == ["firing"]


def test_a_rule_that_changed_is_followed_by_its_alert():
    life = Life(_rule())
    life.at(0, 0.5)
    life.rule = _rule(threshold=0.4, level=Level.CRITICAL)
    life.at(10, 0.6)
    assert (life.alert.threshold, life.alert.level) == (0.4, Level.CRITICAL)


def test_an_alert_whose_rule_is_gone_is_ended():
    life = Life(_rule())
    life.at(0, 0.5)
    assert withdraw(START + 1, life.rule, life.alert).kind is TransitionKind.RESOLVED
    life = Life(_rule(for_s=30))
    life.at(0, 0.5)
    assert withdraw(START + 1, life.rule, life.alert).kind is TransitionKind.CANCELLED


# What a rule may meet: seconds since the last look, a value or none, and whether ingest is cut.
_steps = st.lists(
    st.tuples(
        st.sampled_from([0.5, 1.0, 3.0, 10.0, 40.0]),
        st.sampled_from([0.0, 0.1, 0.5, 0.9, None, "absent"]),
        st.sampled_from([False, False, False, True]),
    ),
    max_size=60,
)
_rules = st.builds(
    _rule,
    op=st.sampled_from([Op.ABOVE, Op.AT_LEAST, Op.BELOW, Op.AT_MOST]),
    threshold=st.sampled_from([0.1, 0.5]),
    for_s=st.sampled_from([0.0, 1.0, 30.0]),
    keep_firing_s=st.sampled_from([0.0, 15.0]),
    stale_s=st.sampled_from([0.0, 60.0]),
)


def _play(rule, steps, reload=False) -> tuple[Life, float]:
    life = Life(rule)
    after_s = 0.0
    for pause_s, value, blind in steps:
        after_s += pause_s
        if reload:
            life.alerts = {key: _reloaded(alert) for key, alert in life.alerts.items()}
        life.at(after_s, *([] if value == "absent" else [value]), blind=blind)
    return life, after_s


def _reloaded(alert) -> Alert:
    """Return an alert as it comes back from a database: through JSON, with plain words for its state and level."""
    fields = json.loads(json.dumps(asdict(alert)))
    return Alert(**{**fields, "state": AlertState(fields["state"]), "level": Level(fields["level"])})


@given(_rules, _steps)
def test_every_alert_fires_and_resolves_at_most_once_and_in_order(rule, steps):
    life, _ = _play(rule, steps)
    stories: dict[int | None, list[str]] = {}
    for transition in life.seen:
        stories.setdefault(transition.alert.id, []).append(transition.kind.value)
    for story in stories.values():
        told = [kind for kind in story if kind != "update"]
        assert told in (
            ["pending"],
            ["pending", "cancelled"],
            ["pending", "firing"],
            ["pending", "firing", "resolved"],
            ["firing"],
            ["firing", "resolved"],
        )
        assert rule.for_s == 0 or told[0] == "pending"


@given(_rules, _steps)
def test_nothing_fires_before_the_condition_has_held_for_its_time(rule, steps):
    life, _ = _play(rule, steps)
    times = [START]
    for pause_s, _, _ in steps:
        times.append(times[-1] + pause_s)
    held_since: float | None = None
    holding: dict[float | None, float] = {}
    for at, (_, value, blind) in zip(times[1:], steps, strict=True):
        believed = not (blind and rule.op in (Op.BELOW, Op.AT_MOST))
        holds = isinstance(value, float) and rule.op.holds(value, rule.threshold) and believed
        held_since = (at if held_since is None else held_since) if holds else None
        if held_since is not None:
            holding[at] = at - held_since
    for transition in life.seen:
        if transition.kind is TransitionKind.FIRING:
            assert holding[transition.alert.fired_at] >= rule.for_s


@given(_rules, _steps)
def test_looking_again_at_the_same_moment_changes_nothing(rule, steps):
    life, after_s = _play(rule, steps)
    if steps:
        _, value, blind = steps[-1]
        assert life.at(after_s, *([] if value == "absent" else [value]), blind=blind) == []


@given(_rules, _steps)
def test_a_restart_with_the_saved_alerts_goes_on_as_if_there_had_been_none(rule, steps):
    assert _play(rule, steps, reload=True)[0].seen == _play(rule, steps)[0].seen


@given(_rules, _steps, st.booleans())
def test_every_alert_ends_when_its_value_stays_good_or_stays_away(rule, steps, away):
    life, after_s = _play(rule, steps)
    good = 0.0 if rule.op in (Op.ABOVE, Op.AT_LEAST) else 1.0
    for pause_s in (1, 100):
        after_s += pause_s
        life.at(after_s, *([] if away else [good]))
    assert life.alerts == {}


@pytest.mark.parametrize("blind", [False, True])
def test_no_values_and_no_alerts_give_nothing(blind):
    assert evaluate(START, _rule(), [], {}, blind=blind) == []
