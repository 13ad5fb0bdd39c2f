/** A breakdown as pictures need it. What a client told is read with care: it is stored as it came. */

export interface Slice {
  /** component, operation and target, by which a part is the same one in several breakdowns. */
  key: string;
  component: string;
  operation: string;
  target: string;
  /** Seconds that this part alone covers; all slices add up to the whole. */
  covered_s: number;
  /** Seconds of all its calls, those at the same time counted each; null for own code. */
  total_s: number | null;
  max_s: number | null;
  calls: number | null;
  errors: number;
}

export interface Breakdown {
  total_s: number;
  slices: Slice[];
}

export const OWN = "own code";
export const REST = "rest";
export const QUEUE = "queue";

/** Read what was told; null when it tells nothing that can be drawn. The greatest part comes first, own code last. */
export function breakdownOf(told: unknown): Breakdown | null {
  if (!isRecord(told) || !Array.isArray(told.parts)) return null;
  const slices: Slice[] = [];
  for (const part of told.parts as unknown[]) {
    if (!isRecord(part)) continue;
    const component = text(part.component);
    const covered_s = amount(part.covered_s);
    if (component === "" || covered_s === null) continue;
    const operation = text(part.operation);
    const target = text(part.target);
    slices.push({
      key: keyOf(component, operation, target),
      component,
      operation,
      target,
      covered_s,
      total_s: amount(part.total_s),
      max_s: amount(part.max_s),
      calls: amount(part.calls),
      errors: amount(part.errors) ?? 0,
    });
  }
  slices.sort((a, b) => b.covered_s - a.covered_s);
  const covered = slices.reduce((sum, slice) => sum + slice.covered_s, 0);
  const total_s = Math.max(amount(told.total_s) ?? covered + (amount(told.own_s) ?? 0), covered);
  if (total_s <= 0) return null;
  if (total_s > covered) slices.push(own(total_s - covered));
  return { total_s, slices };
}

/**
 * The time from being enqueued to the end: the wait in the queue first, then what the process told. What it did not tell
 * is own code.
 *
 * @param duration_s How long it was executed.
 * @param wait_s Its time in the queue before that.
 */
export function wholeOf(told: unknown, duration_s: number, wait_s: number): Slice[] {
  const slices = breakdownOf(told)?.slices ?? (duration_s > 0 ? [own(duration_s)] : []);
  return wait_s > 0 ? [{ ...own(wait_s), key: keyOf(QUEUE, "wait", ""), component: QUEUE, operation: "wait" }, ...slices] : slices;
}

/** The `most` greatest slices; what is left of them becomes one, before own code. */
export function folded(slices: readonly Slice[], most: number): Slice[] {
  const parts = slices.filter((slice) => slice.component !== OWN);
  if (parts.length <= most) return [...slices];
  const left = parts.slice(most);
  const rest: Slice = {
    ...own(left.reduce((sum, slice) => sum + slice.covered_s, 0)),
    key: REST,
    component: REST,
    errors: left.reduce((sum, slice) => sum + slice.errors, 0),
  };
  return [...parts.slice(0, most), rest, ...slices.filter((slice) => slice.component === OWN)];
}

export function keyOf(component: string, operation: string, target: string): string {
  return `${component}|${operation}|${target}`;
}

const HUES: Record<string, string[]> = {
  database: ["#f26a12", "#d9480f", "#ffa94d", "#e8590c"],
  redis: ["#c2255c", "#e64980", "#f783ac"],
  http: ["#1c7ed6", "#4dabf7", "#1864ab"],
  smtp: ["#7048e8", "#9775fa"],
  queue: ["#f59f00"],
  pool: ["#a61e4d"],
  event_loop: ["#0ca678", "#63e6be", "#087f5b"],
};
const OTHERS = ["#1098ad", "#2f9e44", "#66a80f", "#862e9c"];

/** A colour for each key: of its component's, in the order in which they come. Own code is grey, always. */
export function coloured(slices: readonly Pick<Slice, "key" | "component">[]): Map<string, string> {
  const used: Record<string, number> = {};
  const colours = new Map<string, string>();
  for (const { key, component } of slices) {
    if (colours.has(key)) continue;
    if (component === OWN || component === REST) {
      colours.set(key, component === OWN ? "#868e96" : "#adb5bd");
      continue;
    }
    const hues = HUES[component] ?? OTHERS;
    const family = component in HUES ? component : "";
    const position = used[family] ?? 0;
    used[family] = position + 1;
    colours.set(key, hues[position % hues.length] ?? "#868e96");
  }
  return colours;
}

function own(covered_s: number): Slice {
  return { key: OWN, component: OWN, operation: "", target: "", covered_s, total_s: null, max_s: null, calls: null, errors: 0 };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function amount(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null;
}
