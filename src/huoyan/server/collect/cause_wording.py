"""A cause as a sentence, in English and Chinese."""

from huoyan.model.causes import Cause
from huoyan.model.lift import Standout

_NAMES = {
    "own code": ("the code itself, or something it calls that is not watched", "自身代码或未被监视的调用"),
    "queue": ("waiting in the queue", "排队等待"),
    "event_loop": ("waiting for the event loop", "等待事件循环"),
    "pool": ("waiting for a connection of the pool", "等待连接池"),
    "other": ("other calls", "其他调用"),
}

FAILED_CALL = "failed call "
"""Begins the name of a value that says that a call failed; the call follows."""


def sentence(cause: Cause) -> tuple[str, str]:
    """Return what a cause says, in English and in Chinese."""
    english, chinese = named(cause)
    share = f"{round(100 * cause.share)} %"
    first = f"{share} of what the slow ones take longer is {english}"
    first_zh = f"慢请求多花的时间有 {share} 在{chinese}"
    if not cause.measured:
        spent = f"{span(cause.slow_s)} instead of {span(cause.typical_s)}"
        return f"{first}: {spent}.", f"{first_zh}：{span(cause.slow_s)}，通常为 {span(cause.typical_s)}。"
    others = "" if cause.others_p99_s is None else f", others {span(cause.others_p99_s)}"
    others_zh = "" if cause.others_p99_s is None else f"，其他为 {span(cause.others_p99_s)}"
    return f"{first}: P99 {span(cause.p99_s)}{others}.", f"{first_zh}：P99 为 {span(cause.p99_s)}{others_zh}。"


def standout_sentence(standout: Standout, among: str) -> tuple[str, str]:
    """Return what a value that stands out says, in English and in Chinese.

    Args:
        standout: The value.
        among: `slow` or `failing`.
    """
    share, usual = (f"{round(100 * of)} %" for of in (standout.share, standout.usual_share))
    whose = "of the slow ones" if among == "slow" else "of those that fail"
    whose_zh = "慢的" if among == "slow" else "失败的"
    if standout.name.startswith(FAILED_CALL):
        call = standout.name.removeprefix(FAILED_CALL)
        where = "the slow ones" if among == "slow" else "those that fail"
        return (
            f"In {share} of {where} the call {call} failed, otherwise in {usual}.",
            f"{whose_zh}当中 {share} 的调用 {call} 失败，其他的为 {usual}。",
        )
    what = standout.name if standout.value == "yes" else f"{standout.name} {standout.value}"
    return (
        f"{share} {whose} have {what}, otherwise {usual} do.",
        f"{whose_zh}当中 {share} 具有 {what}，其他的为 {usual}。",
    )


def named(cause: Cause) -> tuple[str, str]:
    """Return what the time went into, in English and in Chinese."""
    if cause.component == "event_loop" and cause.target:
        return f"waiting while {cause.target} held the event loop", f"等待被 {cause.target} 占住的事件循环"
    if cause.component == "pool" and cause.target:
        return f"waiting for a connection to {cause.target}", f"等待到 {cause.target} 的连接"
    if cause.component in _NAMES:
        return _NAMES[cause.component]
    what, target = cause.operation or cause.component, cause.target
    if cause.component == "database":
        return (
            (f"{what} on {target}", f"对 {target} 的 {what}")
            if target
            else (f"{what} in the database", f"数据库 {what}")
        )
    if cause.component == "redis":
        if target == "blocking":
            return f"Redis {what}, which waits on purpose", f" Redis {what}（主动等待）"
        return (
            (f"Redis {what} at {target}", f" {target} 的 Redis {what}")
            if target
            else (f"Redis {what}", f" Redis {what}")
        )
    if cause.component == "http":
        return f"requests to {target}", f"对 {target} 的请求"
    both = " ".join(part for part in (cause.component, cause.operation, target) if part)
    return both, f" {both}"


def span(seconds: float) -> str:
    """Return a duration as people read it: `2.8 s`, `12 ms`."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1.0:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:.0f} s"
