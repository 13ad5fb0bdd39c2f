"""A cron trigger of APScheduler as the cron expression that means the same, where there is one."""

from typing import Any

_ORDER = ("second", "minute", "hour", "day", "month", "day_of_week")
_LIMITS = {
    "second": (0, 59),
    "minute": (0, 59),
    "hour": (0, 23),
    "day": (1, 31),
    "month": (1, 12),
    "day_of_week": (0, 6),
}


def cron_expression(trigger: Any) -> str | None:
    """Return the expression, of 5 fields or of 6 with seconds first; None when cron cannot say it.

    APScheduler counts weekdays from Monday, cron from Sunday. APScheduler asks for the day and the weekday, cron for
    one of them, so both at once have no translation; neither have years, weeks and the like of `last fri`.
    """
    fields = {field.name: field for field in trigger.fields}
    if trigger.start_date is not None or any(str(fields[name]) != "*" for name in ("year", "week")):
        return None
    parts = [_field(fields[name]) for name in _ORDER]
    if None in parts or (parts[3] != "*" and parts[5] != "*"):
        return None
    known = [part for part in parts if part is not None]
    return " ".join(known[1:] if known[0] == "0" else known)


def _field(field: Any) -> str | None:
    low, high = _LIMITS[field.name]
    values: set[int] = set()
    for expression in field.expressions:
        kind = type(expression).__name__
        if kind == "LastDayOfMonthExpression" and len(field.expressions) == 1:
            return "L"
        if kind == "AllExpression":
            first, last = low, high
        elif hasattr(expression, "first"):
            first, last = expression.first, high if expression.last is None else expression.last
        else:
            return None
        values.update(range(first, last + 1, expression.step or 1))
    if len(values) == high - low + 1:
        return "*"
    if field.name == "day_of_week":
        values = {(value + 1) % 7 for value in values}
    return ",".join(str(value) for value in sorted(values))
