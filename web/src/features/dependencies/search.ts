/** Windows over which dependencies are judged, seconds. */
export const WINDOWS = { m5: 300, h1: 3_600, d1: 86_400 } as const;
export type Window = keyof typeof WINDOWS;

export interface DependenciesSearch {
  /** Absent: the last five minutes. */
  window?: "h1" | "d1";
  service?: string;
}

/** Which of a service's dependencies of one kind, and which of its parts. */
export interface DependencySearch {
  window?: "h1" | "d1";
  target?: string;
  part?: string;
}

export function readDependenciesSearch(search: Record<string, unknown>): DependenciesSearch {
  return { ...readWindow(search), ...readText(search, "service") };
}

export function readDependencySearch(search: Record<string, unknown>): DependencySearch {
  return { ...readWindow(search), ...readText(search, "target"), ...readText(search, "part") };
}

function readWindow(search: Record<string, unknown>): { window?: "h1" | "d1" } {
  return search.window === "h1" || search.window === "d1" ? { window: search.window } : {};
}

function readText<K extends string>(search: Record<string, unknown>, key: K): { [P in K]?: string } {
  const value = search[key];
  return typeof value === "string" && value !== "" ? ({ [key]: value } as { [P in K]?: string }) : {};
}
