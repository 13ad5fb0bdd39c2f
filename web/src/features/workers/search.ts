import type { Worker } from "../../api/queries";

export const WORKER_STATES = ["down", "wedged", "up", "closed"] as const;
export type WorkerState = (typeof WORKER_STATES)[number];

/** The choice of the list of workers as the address carries it; without one, all are shown. */
export interface WorkerSearch {
  state?: WorkerState;
}

export function readWorkerSearch(search: Record<string, unknown>): WorkerSearch {
  const state = WORKER_STATES.find((known) => known === search.state);
  return state ? { state } : {};
}

/** Those that need somebody first: down, then wedged, then up, then closed; by name within. */
export function chosen(workers: readonly Worker[], state: WorkerState | undefined): Worker[] {
  const rank = (worker: Worker) => WORKER_STATES.indexOf(worker.state);
  return workers
    .filter((worker) => state === undefined || worker.state === state)
    .sort((a, b) => rank(a) - rank(b) || a.service.localeCompare(b.service) || a.worker.localeCompare(b.worker));
}

/** How many workers each choice would show. */
export function counted(workers: readonly Worker[]): Record<WorkerState, number> {
  const counts = { down: 0, wedged: 0, up: 0, closed: 0 };
  for (const worker of workers) counts[worker.state] += 1;
  return counts;
}
