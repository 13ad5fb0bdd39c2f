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

/**
 * Series of one step that were asked for one after another, as lines with the same times. Each ends at the moment of its
 * question, so the times of the same point differ by some milliseconds; points belong together by their place from the end.
 */
export function together(series: readonly (number | null)[][][]): { times: number[]; values: (number | null)[][] } {
  const longest = series.reduce((a, b) => (b.length > a.length ? b : a), []);
  return {
    times: longest.map((point) => Number(point[0])),
    values: series.map((points) => longest.map((_, place) => points[points.length - longest.length + place]?.[1] ?? null)),
  };
}
