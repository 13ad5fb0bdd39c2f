/** Windows over which funnels count, seconds, with how their charts look back. */
export const WINDOWS = { h1: 3_600, d1: 86_400, d7: 604_800 } as const;
export type Window = keyof typeof WINDOWS;

export const CHARTS = {
  h1: { since: "-1h", window_s: 60, step_s: 30 },
  d1: { since: "-24h", window_s: 720, step_s: 720 },
  d7: { since: "-7d", window_s: 3_600, step_s: 3_600 },
} as const;

export interface FunnelsSearch {
  /** Absent: the last hour. */
  window?: Exclude<Window, "h1">;
  service?: string;
}

export function readFunnelsSearch(search: Record<string, unknown>): FunnelsSearch {
  return {
    ...(search.window === "d1" || search.window === "d7" ? { window: search.window } : {}),
    ...(typeof search.service === "string" && search.service !== "" ? { service: search.service } : {}),
  };
}
