"""Whether what was due was done: the pure judgement on the slots of a schedule."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from huoyan.model.schedule import Sighting, Slot, SlotVerdict
from huoyan.server.collect.slots import SAME_S, next_slot
from huoyan.server.store import Gap, KnownSchedule

SETTLE_S = 10.0
"""How long what happened may take to be heard, in seconds."""
GRACE_S = 60.0
"""Grace of a schedule that names none, in seconds."""
LONGEST_GRACE_S = 86_400.0
LATE_S = 5.0
"""A start within this time is on time, in seconds."""
RECOVERY_S = 90.0
"""How long clients may take to tell what they kept while nobody listened, in seconds: they try every 30 s."""
MOST_SLOTS = 500
"""Slots judged at once."""
EARLY_S = 2.0
"""How early a run may come, in seconds: a clock that is ahead by no more than this is not corrected, and what it told
by another way bears the server's time. Never more than a tenth of the time between two slots."""
REPEATED_FROM_S = 10.0
"""A schedule that is due more often than this, in seconds, cannot be told to run too often: its times lie too close."""
FAST_FROM_RUNS = 10
FAST_FROM_S = 0.5
_RUNNING_STATES = frozenset({"started"})
_MISSED_STATES = frozenset({"dead"})
_SKIPPED_STATES = frozenset({"rejected"})


def patience_s(schedule: KnownSchedule) -> float:
    """Return how long after its due time a slot is missed, in seconds: its grace, and the time news may take."""
    grace_s = GRACE_S if schedule.grace_s is None else schedule.grace_s
    return min(grace_s, LONGEST_GRACE_S) + SETTLE_S


def judge(
    now: float,
    schedule: KnownSchedule,
    sightings: Sequence[Sighting],
    gaps: Iterable[Gap],
    earlier: Sequence[Sighting] = (),
) -> tuple[list[Slot], float | None]:
    """Judge the slots of a schedule that are ripe, in order, from the first without a verdict.

    Args:
        now: Seconds since 1970 UTC. This and all other times are by the clock that the schedule is kept by.
        schedule: The schedule.
        sightings: Its runs since that slot.
        gaps: When nothing could be heard.
        earlier: Runs of slots before that, which may still go on.

    Returns:
        One verdict for each slot that can be judged, and the first slot that cannot be yet.
    """
    verdicts: list[Slot] = []
    slot = schedule.slot_at
    cuts = list(gaps)
    while slot is not None and slot <= now and len(verdicts) < MOST_SLOTS:
        following = next_slot(schedule, slot)
        seen = _seen(slot, following, sightings)
        verdict = _verdict(now, slot, seen, cuts, patience_s(schedule))
        if verdict is None:
            break
        if verdict.verdict in (SlotVerdict.OK, SlotVerdict.LATE):
            verdict = _more(verdict, seen, following, [*earlier, *sightings]) or verdict
        verdicts.append(verdict)
        slot = following
    return verdicts, slot


def _seen(slot: float, following: float | None, sightings: Sequence[Sighting]) -> list[Sighting]:
    """Return the runs of one slot: they name it, or came after it and before the next one.

    What came just before the next one is more likely that one's, so without any other it is asked first whether
    something came just before this one.
    """
    if following is None:
        return [one for one in sightings if slot - SAME_S <= one.at]
    seen = [one for one in sightings if slot - SAME_S <= one.at < following - SAME_S]
    early_s = min(EARLY_S, (following - slot) * 0.1)
    if all(one.at >= following - early_s for one in seen):
        return [one for one in sightings if slot - early_s <= one.at < slot - SAME_S] or seen
    return seen


def _verdict(now: float, slot: float, seen: Sequence[Sighting], gaps: Sequence[Gap], patient_s: float) -> Slot | None:
    """Return the verdict on one slot, None while it is too early."""
    if now < slot + SETTLE_S:
        return None
    started = [one for one in seen if one.state not in _MISSED_STATES | _SKIPPED_STATES]
    if started:
        return _on_started(slot, started)
    for one in seen:
        if one.state in _SKIPPED_STATES:
            return Slot(slot, SlotVerdict.OVERLAPPING, None, one.run_id, one.state, one.reason)
    for one in seen:
        return Slot(slot, SlotVerdict.MISSED, None, one.run_id, one.state, one.reason)
    if now < slot + patient_s:
        return None
    for gap in gaps:
        if gap.started_at > slot + patient_s or (gap.ended_at is not None and gap.ended_at < slot):
            continue
        if gap.ended_at is None or now < gap.ended_at + max(patient_s, RECOVERY_S):
            return None
        return Slot(slot, SlotVerdict.UNKNOWN, reason=f"nothing could be heard then: {gap.source}: {gap.reason}")
    return Slot(slot, SlotVerdict.MISSED, reason=f"nothing started within {patient_s:g} s of its due time")


def _more(verdict: Slot, seen: Sequence[Sighting], following: float | None, others: Sequence[Sighting]) -> Slot | None:
    """Return what else is wrong with a slot that was started, None when nothing is."""
    runs = {one.run_id: one for one in seen if one.state not in _MISSED_STATES | _SKIPPED_STATES}
    if following is not None and following - verdict.at >= REPEATED_FROM_S:
        # What comes just before the next time is that one's, early: a scheduler counts from its own clock.
        latest = following - (following - verdict.at) * 0.1
        often = sorted(run_id for run_id, one in runs.items() if one.at < latest)
        if len(often) > 1:
            reason = f"started {len(often)} times: {', '.join(often[:5])}"
            return replace(verdict, verdict=SlotVerdict.REPEATED, reason=reason)
    first = runs.get(verdict.run_id)
    if first is None or first.started_at is None:
        return None
    for one in others:
        if one.run_id == first.run_id or one.started_at is None or one.started_at >= first.started_at:
            continue
        if one.state in _RUNNING_STATES or (one.finished_at is not None and one.finished_at > first.started_at):
            reason = f"{first.run_id} began while {one.run_id} still ran"
            return replace(verdict, verdict=SlotVerdict.OVERLAPPING, reason=reason)
    return None


def is_too_fast(duration_s: float, usual_s: Sequence[float]) -> float | None:
    """Return what a run usually takes at least, in seconds, when this one took suspiciously less; else None.

    Args:
        duration_s: How long it took, in seconds.
        usual_s: How long earlier runs of the same schedule took. What takes milliseconds anyway, or has run fewer than
            10 times, is never suspicious.
    """
    if len(usual_s) < FAST_FROM_RUNS:
        return None
    least_s = sorted(usual_s)[int(len(usual_s) * 0.05)]
    return least_s if least_s >= FAST_FROM_S and duration_s < least_s / 10 else None


def _on_started(slot: float, started: Sequence[Sighting]) -> Slot:
    first = min(started, key=lambda one: (one.fired_at, one.run_id))
    late_s = max(0.0, first.fired_at - slot)
    by = sorted({one.worker for one in started if one.worker})
    if len(by) > 1:
        reason = f"started by {len(by)} processes: {', '.join(by[:5])}"
        return Slot(slot, SlotVerdict.DOUBLED, late_s, first.run_id, first.state, reason)
    if late_s > LATE_S:
        return Slot(slot, SlotVerdict.LATE, late_s, first.run_id, first.state, f"started {late_s:.1f} s late")
    return Slot(slot, SlotVerdict.OK, late_s, first.run_id, first.state)
