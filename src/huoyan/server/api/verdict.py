"""The verdict line and the total figures of the first screen."""

from huoyan import __version__
from huoyan.server.alert.wording import capital
from huoyan.server.api.context import Context
from huoyan.server.api.figures import NOW_WINDOW_S, RATE_WINDOW_S, queue_figures, values
from huoyan.server.api.schemas.incident import Incident, incident_documents
from huoyan.server.api.schemas.overview import Overview, Totals, Verdict, VerdictLevel, WorkerTotals

_MOST_INCIDENTS = 50
_MOST_NAMED = 3


def overview_document(here: Context) -> Overview:
    """Put together what the first screen says at a glance."""
    now = here.clock.now()
    open_incidents = here.store.incidents.page(state=("open", "acknowledged"), limit=_MOST_INCIDENTS).items
    incidents = incident_documents(here.store, open_incidents)
    incidents.sort(key=lambda i: (i.level != "critical", i.state != "open", -i.opened_at))
    level, text, text_zh = verdict(incidents, here.silent())
    workers = here.store.workers.list()
    depths = [queue.depth for queue in queue_figures(here.store, here.source, now) if queue.depth is not None]

    def total(signal_id: str, window_s: float = NOW_WINDOW_S) -> float | None:
        return values(here.source, signal_id, now, window_s, {}, ()).get(())

    return Overview(
        verdict=Verdict(level=level, text=text, text_zh=text_zh, open_incidents=incidents),
        totals=Totals(
            runs_per_minute=total("task_runs_per_minute", RATE_WINDOW_S) or 0.0,
            failure_ratio=total("task_failure_ratio"),
            p95_s=total("task_duration_p95"),
            active=round(total("tasks_active") or 0.0),
            queued=sum(depths) if depths else None,
        ),
        workers=WorkerTotals(
            up=sum(worker.state in ("up", "wedged") for worker in workers),
            down=sum(worker.state == "down" for worker in workers),
        ),
        version=__version__,
        started_at=here.started_at,
        now=now,
    )


def verdict(incidents: list[Incident], silent: list[str]) -> tuple[VerdictLevel, str, str]:
    """Say in one line whether all is well.

    Args:
        incidents: Those that are not over, most severe first.
        silent: Sources that nothing is heard from; with one of them, calm proves nothing.

    Returns:
        The level, and the line in English and in Chinese.
    """
    level: VerdictLevel = "ok"
    if incidents:
        level = "critical" if any(incident.level == "critical" for incident in incidents) else "warning"
    if silent and level != "critical":
        level = "blind"
    return level, _english(incidents, sorted(silent)), _chinese(incidents, sorted(silent))


def _english(incidents: list[Incident], silent: list[str]) -> str:
    parts = []
    if incidents:
        titles = "; ".join(incident.title for incident in incidents[:_MOST_NAMED])
        more = f"; and {len(incidents) - _MOST_NAMED} more" if len(incidents) > _MOST_NAMED else ""
        count = "1 incident is open" if len(incidents) == 1 else f"{len(incidents)} incidents are open"
        parts.append(f"{count}: {titles}{more}")
    if silent:
        parts.append(f"nothing is heard from {', '.join(silent)}")
    return capital("; ".join(parts)) if parts else "All is well"


def _chinese(incidents: list[Incident], silent: list[str]) -> str:
    parts = []
    if incidents:
        titles = "；".join(incident.title_zh for incident in incidents[:_MOST_NAMED])
        more = f"；另有 {len(incidents) - _MOST_NAMED} 个" if len(incidents) > _MOST_NAMED else ""
        parts.append(f"有 {len(incidents)} 个未解决事件：{titles}{more}")
    if silent:
        parts.append(f"收不到以下来源的数据：{'、'.join(silent)}")
    return "；".join(parts) if parts else "一切正常"
