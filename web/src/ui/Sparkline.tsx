/** A course without axes, newest at the right; `title` says what it is to who cannot see it. */
export function Sparkline({ values, title, width = 112, height = 26 }: { values: readonly number[]; title: string; width?: number; height?: number }) {
  const points = pointsOf(values, width, height);
  return (
    <svg width={width} height={height} role="img" aria-label={title} style={{ display: "block", marginLeft: "auto" }}>
      <title>{title}</title>
      <polygon points={`0,${height} ${points} ${width},${height}`} fill="var(--mantine-primary-color-filled)" opacity={0.14} />
      <polyline points={points} fill="none" stroke="var(--mantine-primary-color-filled)" strokeWidth={1.5} />
    </svg>
  );
}

/** Values as corners of a line, from zero at the bottom to the greatest at the top. */
export function pointsOf(values: readonly number[], width: number, height: number): string {
  const most = Math.max(...values, 0) || 1;
  const step = values.length > 1 ? width / (values.length - 1) : width;
  return values.map((value, at) => `${(at * step).toFixed(1)},${(height - 1 - (value / most) * (height - 3)).toFixed(1)}`).join(" ");
}
