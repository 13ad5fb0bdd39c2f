/** Steps of a chart's axis, smallest first, from which the chart takes the one that fits. */

const DECIMAL = [1, 2, 2.5, 5];

/**
 * Durations in seconds as clocks count them: decimal below a second, then by 60, so that an axis says 1 min, 2 min
 * and not 1 min 40 s, 3 min 20 s.
 */
export const DURATION_STEPS: number[] = [
  ...[-6, -5, -4, -3, -2, -1].flatMap((power) => DECIMAL.map((step) => Number((step * 10 ** power).toPrecision(3)))),
  ...[1, 2, 5, 10, 15, 20, 30],
  ...[1, 2, 5, 10, 15, 20, 30].map((minutes) => minutes * 60),
  ...[1, 2, 4, 6, 12].map((hours) => hours * 3_600),
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500].map((days) => days * 86_400),
];
