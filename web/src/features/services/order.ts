import { isWindow, type Window } from "../tasks/order";

export const SERVICE_COLUMNS = ["service", "requests_per_minute", "trend_per_minute", "client_error_ratio", "server_error_ratio", "p50_s", "p95_s", "p99_s", "in_flight"] as const;
export type ServiceColumn = (typeof SERVICE_COLUMNS)[number];

export const ENDPOINT_COLUMNS = ["endpoint", "total_s", "requests_per_minute", "client_error_ratio", "server_error_ratio", "p50_s", "p95_s", "p99_s"] as const;
export type EndpointColumn = (typeof ENDPOINT_COLUMNS)[number];

export interface ServicesSearch {
  window?: Window;
}

/** One service, and by what its endpoints are ordered. */
export interface ServiceSearch extends ServicesSearch {
  by?: EndpointColumn;
  up?: true;
}

export interface EndpointSearch extends ServicesSearch {
  service?: string;
  method?: string;
  endpoint?: string;
}

export function readServicesSearch(search: Record<string, unknown>): ServicesSearch {
  return isWindow(search.window) ? { window: search.window } : {};
}

export function readServiceSearch(search: Record<string, unknown>): ServiceSearch {
  const by = ENDPOINT_COLUMNS.find((column) => column === search.by);
  return { ...readServicesSearch(search), ...(by ? { by } : {}), ...(search.up === true ? { up: true as const } : {}) };
}

export function readEndpointSearch(search: Record<string, unknown>): EndpointSearch {
  const text = (name: "service" | "method" | "endpoint") => (typeof search[name] === "string" && search[name] !== "" ? { [name]: search[name] } : {});
  return { ...readServicesSearch(search), ...text("service"), ...text("method"), ...text("endpoint") };
}

/** The search after a click on a column: most first (names from A), and the other way round on the second click. */
export function turnedTo(search: ServiceSearch, column: EndpointColumn): ServiceSearch {
  const same = (search.by ?? "total_s") === column;
  const up = same ? search.up !== true : column === "endpoint";
  return { ...readServicesSearch({ ...search }), by: column, ...(up ? { up: true as const } : {}) };
}

type Cell = string | number | null;

/** Rows by a column; what was not measured comes last either way. */
export function sorted<Row>(rows: readonly Row[], value: (row: Row) => Cell, up: boolean): Row[] {
  const direction = up ? 1 : -1;
  return [...rows].sort((a, b) => {
    const [left, right] = [value(a), value(b)];
    if (left === right) return 0;
    if (left === null) return 1;
    if (right === null) return -1;
    return direction * (typeof left === "string" ? left.localeCompare(String(right)) : left - Number(right));
  });
}
