/** As JSON gives it: pairs of a time and a value, null where nothing is known. */
export interface Series {
  labels: Record<string, string>;
  points: (number | null)[][];
}

/** The `most` series that matter most, in their own order: those with the highest latest value that is known. */
export function foremost<S extends Series>(series: S[], most: number): S[] {
  if (series.length <= most) return series;
  const kept = new Set([...series].sort((a, b) => latest(b) - latest(a)).slice(0, most));
  return series.filter((each) => kept.has(each));
}

function latest(series: Series): number {
  for (let index = series.points.length - 1; index >= 0; index--) {
    const value = series.points[index]?.[1];
    if (typeof value === "number") return value;
  }
  return Number.NEGATIVE_INFINITY;
}
