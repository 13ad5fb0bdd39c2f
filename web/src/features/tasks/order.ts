import type { Task } from "../../api/queries";

export const WINDOWS = { m15: 900, h1: 3_600, d1: 86_400 } as const;
export type Window = keyof typeof WINDOWS;
export const COLUMNS = ["task", "runs", "failure_ratio", "p50_s", "p95_s", "p99_s", "wait_p95_s", "active", "last_run_at"] as const;
export type Column = (typeof COLUMNS)[number];

/** How the table of tasks is shown, as the address carries it; without anything the last hour, busiest first. */
export interface TaskSearch {
  window?: Window;
  by?: Column;
  up?: true;
}

export function readTaskSearch(search: Record<string, unknown>): TaskSearch {
  const by = COLUMNS.find((column) => column === search.by);
  return {
    ...(isWindow(search.window) ? { window: search.window } : {}),
    ...(by ? { by } : {}),
    ...(search.up === true ? { up: true as const } : {}),
  };
}

/** Which task is shown, over which time. */
export interface OneTaskSearch {
  task?: string;
  service?: string;
  window?: Window;
}

export function readOneTaskSearch(search: Record<string, unknown>): OneTaskSearch {
  return {
    ...(typeof search.task === "string" || typeof search.task === "number" ? { task: String(search.task) } : {}),
    ...(typeof search.service === "string" && search.service ? { service: search.service } : {}),
    ...(isWindow(search.window) ? { window: search.window } : {}),
  };
}

export function isWindow(value: unknown): value is Window {
  return typeof value === "string" && Object.hasOwn(WINDOWS, value);
}

/** The distance of a chart's points, in seconds: some sixty to a hundred in a window. */
export function stepOf(window: Window): number {
  return { m15: 15, h1: 60, d1: 900 }[window];
}

/** What a point of a chart stands for, in seconds: at least a minute, or there would be few requests in it. */
export function spanOf(window: Window): number {
  return Math.max(60, stepOf(window));
}

/** The period of the list of runs that holds a window. */
export function periodOf(window: Window): "h1" | "d1" {
  return window === "d1" ? "d1" : "h1";
}

/** The search after a click on a column: most first (names from A), and the other way round on the second click. */
export function turned(search: TaskSearch, column: Column): TaskSearch {
  const { window } = search;
  const same = (search.by ?? "runs") === column;
  const up = same ? search.up !== true : column === "task";
  return { ...(window ? { window } : {}), by: column, ...(up ? { up: true as const } : {}) };
}

/** Tasks in the order of a column. What was not measured comes last either way; equals go by name. */
export function ordered(tasks: readonly Task[], column: Column, up: boolean): Task[] {
  const direction = up ? 1 : -1;
  return [...tasks].sort((a, b) => {
    const [left, right] = [a[column], b[column]];
    if (left === right) return byName(a, b);
    if (left === null) return 1;
    if (right === null) return -1;
    const order = typeof left === "string" ? left.localeCompare(String(right)) : left - Number(right);
    return direction * order || byName(a, b);
  });
}

function byName(a: Task, b: Task): number {
  return a.task.localeCompare(b.task) || a.service.localeCompare(b.service);
}
