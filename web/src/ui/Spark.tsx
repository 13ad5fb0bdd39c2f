import { useNow } from "./time";

/** Counts per minute as small bars over the last hour, newest at the right. */
export function Spark({ points, minutes = 60, width = 96, height = 24 }: { points: number[][]; minutes?: number; width?: number; height?: number }) {
  const last = Math.floor(useNow() / 60_000) * 60;
  const most = Math.max(1, ...points.map(([, n = 0]) => n));
  const step = width / minutes;
  return (
    <svg width={width} height={height} aria-hidden style={{ flexShrink: 0 }}>
      <line x1={0} x2={width} y1={height - 0.5} y2={height - 0.5} stroke="currentColor" opacity={0.15} />
      {points.map(([at = 0, n = 0]) => {
        const age = Math.round((last - at) / 60);
        if (age < 0 || age >= minutes || n <= 0) return null;
        const bar = Math.max(2, (n / most) * (height - 2));
        return (
          <rect
            key={at}
            x={width - (age + 1) * step}
            y={height - bar}
            width={Math.max(1, step - 0.4)}
            height={bar}
            fill="var(--mantine-color-red-6)"
          />
        );
      })}
    </svg>
  );
}
