import type { RunQuery } from "../../api/queries";

/** The filters of the run list as the address carries them, so that a view can be shared. */
export interface RunSearch {
  state?: string[];
  task?: string[];
  queue?: string[];
  worker?: string[];
  service?: string[];
  framework?: string[];
  failure?: string;
  period?: Period;
  q?: string;
  view?: "workflows";
}

export const PERIODS = { h1: "-1h", d1: "-24h", d7: "-7d", all: undefined } as const;
export type Period = keyof typeof PERIODS;
export const FACETS = ["state", "service", "task", "queue", "framework", "worker"] as const;
export type Facet = (typeof FACETS)[number];

/** Read what stands in the address; anything that is not understood is left out rather than refused. */
export function readRunSearch(search: Record<string, unknown>): RunSearch {
  const read: RunSearch = {};
  for (const facet of FACETS) {
    const values = texts(search[facet]);
    if (values.length > 0) read[facet] = values;
  }
  if (typeof search.failure === "string" && search.failure) read.failure = search.failure;
  if (typeof search.q === "string" && search.q) read.q = search.q;
  if (typeof search.q === "number") read.q = String(search.q);
  if (typeof search.period === "string" && Object.hasOwn(PERIODS, search.period)) read.period = search.period as Period;
  if (search.view === "workflows") read.view = "workflows";
  return read;
}

export function toQuery(search: RunSearch): RunQuery {
  const { period = "d1", ...filters } = search;
  delete filters.view;
  const since = PERIODS[period];
  return since === undefined ? filters : { ...filters, since };
}

function texts(value: unknown): string[] {
  const items = Array.isArray(value) ? value : value === undefined ? [] : [value];
  return items.filter((item) => typeof item === "string" || typeof item === "number").map(String);
}
