import { HOST_MEASURES, PROCESS_MEASURES, type HostMeasure, type ProcessMeasure } from "./scale";

/** How far back the maps look, and how far apart their cells are, seconds. */
export const PERIODS = { h1: { since: "-1h", step_s: 60 }, h6: { since: "-6h", step_s: 360 }, d1: { since: "-24h", step_s: 1440 } } as const;
export type Period = keyof typeof PERIODS;

export interface ResourcesSearch {
  /** Absent: the last hour. */
  period?: Exclude<Period, "h1">;
  service?: string;
  /** What the cells of processes show; absent: CPU. */
  measure?: ProcessMeasure;
  hostMeasure?: HostMeasure;
  /** The process or host whose charts are open. */
  worker?: string;
  host?: string;
}

export function readResourcesSearch(search: Record<string, unknown>): ResourcesSearch {
  const read: ResourcesSearch = {};
  if (search.period === "h6" || search.period === "d1") read.period = search.period;
  const measure = PROCESS_MEASURES.find((known) => known === search.measure);
  if (measure) read.measure = measure;
  const hostMeasure = HOST_MEASURES.find((known) => known === search.hostMeasure);
  if (hostMeasure) read.hostMeasure = hostMeasure;
  for (const name of ["service", "worker", "host"] as const) {
    const value = search[name];
    if (typeof value === "string" && value !== "") read[name] = value;
  }
  return read;
}
