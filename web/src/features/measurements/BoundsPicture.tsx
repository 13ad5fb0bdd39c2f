import { Box, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { BucketAdvice } from "../../api/queries";
import { seconds } from "../../ui/format";
import { useNarrow } from "../../ui/narrow";
import { axisOf, spaced } from "./scale";

const WIDTH = 1000;
const BARS = 90;
const ROW = 22;

/** What was observed, as bars over a logarithmic axis, with the bounds of both kinds below it. */
export function BoundsPicture({ advice }: { advice: BucketAdvice }) {
  const { t } = useTranslation();
  const narrow = useNarrow();
  const axis = axisOf(advice.shape, [...advice.present.bounds, ...advice.proposed.bounds]);
  if (axis === null) return null;
  const most = Math.max(1, ...advice.shape.map((bucket) => bucket[2] ?? 0));
  const x = (value: number) => axis.at(value) * WIDTH;
  const quantiles = [
    ["P50", advice.p50_s],
    ["P95", advice.p95_s],
    ["P99", advice.p99_s],
  ] as const;
  const rows = [
    ["present", advice.present.bounds, "var(--mantine-color-dimmed)"],
    ["proposed", advice.proposed.bounds, "var(--mantine-primary-color-filled)"],
  ] as const;
  return (
    <Box role="img" aria-label={t("measurement.picture", { p50: seconds(advice.p50_s), p95: seconds(advice.p95_s), p99: seconds(advice.p99_s) })}>
      <svg viewBox={`0 0 ${WIDTH} ${BARS + 2 * ROW}`} width="100%" height={BARS + 2 * ROW} preserveAspectRatio="none" aria-hidden>
        {advice.shape.map(([low = 0, high = 0, number = 0]) => {
          const height = Math.max(1.5, (number / most) * (BARS - 6));
          return <rect key={low} x={x(low)} width={Math.max(4, x(high) - x(low))} y={BARS - height} height={height} fill="#1098ad" opacity={0.75} />;
        })}
        <line x1={0} x2={WIDTH} y1={BARS} y2={BARS} stroke="var(--mantine-color-default-border)" vectorEffect="non-scaling-stroke" />
        {quantiles.map(
          ([name, value]) =>
            value !== null && value > 0 && <line key={name} x1={x(value)} x2={x(value)} y1={0} y2={BARS} stroke="#e03131" strokeWidth={1.5} strokeDasharray="4 3" vectorEffect="non-scaling-stroke" />,
        )}
        {rows.map(([name, bounds, color], index) =>
          bounds.filter((bound) => bound >= axis.low && bound <= axis.high).map((bound) => (
            <line key={`${name} ${bound}`} x1={x(bound)} x2={x(bound)} y1={BARS + index * ROW + 4} y2={BARS + (index + 1) * ROW - 3} stroke={color} strokeWidth={2} vectorEffect="non-scaling-stroke" />
          )),
        )}
      </svg>
      <Box pos="relative" h={16} aria-hidden>
        {(narrow ? spaced(axis, 0.22) : axis.ticks)
          .filter((tick) => axis.at(tick) > 0.03 && axis.at(tick) < 0.97)
          .map((tick) => (
          <Text key={tick} size="xs" c="dimmed" className="num" pos="absolute" style={{ left: `${100 * axis.at(tick)}%`, transform: "translateX(-50%)", whiteSpace: "nowrap" }}>
            {seconds(tick)}
          </Text>
        ))}
      </Box>
      <Text size="xs" c="dimmed" mt={6}>
        <span style={{ color: "#1098ad" }}>■</span> {t("measurement.seen")} · <span style={{ color: "#e03131" }}>┆</span> P50, P95, P99 · <span>❘</span> {t("measurement.present")} ·{" "}
        <span style={{ color: "var(--mantine-primary-color-filled)" }}>❘</span> {t("measurement.proposed")}
      </Text>
    </Box>
  );
}
