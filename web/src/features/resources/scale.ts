/** What can be drawn of processes and hosts, and how strong a value looks. Pure, so that it can be tested. */

export const PROCESS_MEASURES = ["cpu", "memory_bytes", "event_loop_lag_s", "gc_pause_s", "open_files", "threads"] as const;
export type ProcessMeasure = (typeof PROCESS_MEASURES)[number];

export const HOST_MEASURES = ["cpu", "memory", "disk"] as const;
export type HostMeasure = (typeof HOST_MEASURES)[number];

/** A value from which on a cell is drawn full even where nothing is higher: a process that uses 1 % of a processor is not hot. */
const FULL_FROM: Record<string, number> = { cpu: 1, event_loop_lag_s: 0.1, gc_pause_s: 0.1, memory: 1, disk: 1, open_files: 100, threads: 20 };

export interface Row {
  name: string;
  /** Shown small under the name. */
  note: string;
  values: (number | null)[];
}

/** The most rows one map holds. */
export const MOST_ROWS = 40;

/** The rows of which anything is known, in their own order; with too many, those with the highest peaks. */
export function rowsOf(rows: Row[], most = MOST_ROWS): Row[] {
  const known = rows.filter((row) => row.values.some((value) => value !== null));
  if (known.length <= most) return known;
  const kept = new Set([...known].sort((a, b) => peak(b) - peak(a)).slice(0, most));
  return known.filter((row) => kept.has(row));
}

export function peak(row: Row): number {
  return row.values.reduce<number>((most, value) => Math.max(most, value ?? 0), 0);
}

/** The value that is drawn full: the highest of all rows, or where "much" begins. */
export function fullOf(rows: Row[], measure: ProcessMeasure | HostMeasure, host = false): number {
  const floor = host && measure === "cpu" ? 1 : (FULL_FROM[measure] ?? 0);
  return Math.max(floor, ...rows.map(peak)) || 1;
}

/** How strong a cell is, in whole percent; something is never drawn as nothing. */
export function strength(value: number, full: number): number {
  if (value <= 0) return 0;
  return Math.max(4, Math.min(100, Math.round((100 * value) / full)));
}

/** Where an arrow key leads in a map of so many rows and columns; null for any other key. */
export function moved(at: Place, key: string, rows: number, columns: number): Place | null {
  const steps: Record<string, Place> = {
    ArrowLeft: { row: at.row, column: at.column - 1 },
    ArrowRight: { row: at.row, column: at.column + 1 },
    ArrowUp: { row: at.row - 1, column: at.column },
    ArrowDown: { row: at.row + 1, column: at.column },
    Home: { row: at.row, column: 0 },
    End: { row: at.row, column: columns - 1 },
  };
  const next = steps[key];
  if (!next) return null;
  return { row: clamp(next.row, rows), column: clamp(next.column, columns) };
}

export interface Place {
  row: number;
  column: number;
}

function clamp(value: number, size: number): number {
  return Math.max(0, Math.min(size - 1, value));
}
