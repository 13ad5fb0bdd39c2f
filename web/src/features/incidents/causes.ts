import type { CauseQuery, IncidentDetail } from "../../api/queries";

/** What raised an incident began before it, milliseconds. */
const BEFORE_MS = 600_000;

const EXPLAINED = /^(http_latency_|http_error_ratio|task_duration_|task_wait_|task_failure)/;

const FAILING = /^(http_error_ratio|task_failure)/;

/** Whether an incident is about what fails, and not about what is slow. */
export function isFailing(incident: Pick<IncidentDetail, "alerts">): boolean {
  return FAILING.test(incident.alerts.find((one) => EXPLAINED.test(one.signal))?.signal ?? "");
}

/** What was named as the cause while the incident went on, the latest; undefined when nothing was. */
export function toldCause(incident: Pick<IncidentDetail, "timeline">): IncidentDetail["timeline"][number] | undefined {
  return incident.timeline.findLast((entry) => entry.kind === "cause_found");
}

/** What to ask for the causes of an incident; null when it is about neither requests nor runs that are slow or fail. */
export function causesOf(incident: Pick<IncidentDetail, "alerts" | "labels" | "opened_at" | "resolved_at">): CauseQuery | null {
  const alert = incident.alerts.find((one) => EXPLAINED.test(one.signal));
  if (!alert) return null;
  const { service, task, endpoint } = { ...incident.labels, ...alert.labels };
  const of = alert.signal.startsWith("task_") ? (task ? { task } : null) : endpoint ? { endpoint } : service ? {} : null;
  if (of === null) return null;
  return {
    ...(service ? { service } : {}),
    ...of,
    since: new Date(Date.parse(incident.opened_at) - BEFORE_MS).toISOString(),
    ...(incident.resolved_at ? { until: incident.resolved_at } : {}),
  };
}
