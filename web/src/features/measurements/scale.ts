/** The logarithmic axis of the picture of bounds. Pure, so that it can be tested. */

export interface Axis {
  low: number;
  high: number;
  /** Where a value lies, 0 at the left edge to 1 at the right; what is beyond stays at the edge. */
  at: (value: number) => number;
  /** Powers of ten inside. */
  ticks: number[];
}

/** An axis that shows everything that was observed, and bounds as far as they lie near it. Null without a value above zero. */
export function axisOf(shape: readonly (readonly number[])[], bounds: readonly number[]): Axis | null {
  const seen = shape.flatMap(([low = 0, high = 0]) => [low, high]).filter((value) => value > 0);
  const values = seen.length > 0 ? [...seen, ...bounds.filter((bound) => bound >= Math.min(...seen) / 4 && bound <= Math.max(...seen) * 4)] : bounds.filter((bound) => bound > 0);
  if (values.length === 0) return null;
  const low = Math.min(...values) / 1.3;
  const high = Math.max(...values) * 1.3;
  const length = Math.log(high / low);
  const ticks: number[] = [];
  for (let power = Math.ceil(Math.log10(low)); power <= Math.floor(Math.log10(high)); power++) ticks.push(10 ** power);
  return { low, high, at: (value) => Math.max(0, Math.min(1, Math.log(value / low) / length)), ticks };
}

/** The ticks of an axis that lie at least so far apart, as a share of its length: where labels would run into each other. */
export function spaced(axis: Axis, apart: number): number[] {
  let last = -Infinity;
  return axis.ticks.filter((tick) => {
    const place = axis.at(tick);
    if (place - last < apart) return false;
    last = place;
    return true;
  });
}

/** Bounds as `HUOYAN_BUCKETS` and Prometheus clients take them. */
export function written(bounds: readonly number[]): string {
  return bounds.map((bound) => String(Number(bound.toPrecision(6)))).join(",");
}

/** What was typed, as the API takes it; null when it is no rising list of numbers above zero. */
export function readBounds(text: string): string | null {
  const numbers = text
    .split(/[\s,;]+/)
    .filter(Boolean)
    .map(Number);
  const rising = numbers.every((value, index) => Number.isFinite(value) && value > (numbers[index - 1] ?? 0));
  return numbers.length > 0 && rising ? numbers.join(",") : null;
}

/** The largest of the three errors; null without observations. */
export function worstOf(bounds: { p50: number | null; p95: number | null; p99: number | null }): number | null {
  const known = [bounds.p50, bounds.p95, bounds.p99].filter((value): value is number => value !== null);
  return known.length > 0 ? Math.max(...known) : null;
}
