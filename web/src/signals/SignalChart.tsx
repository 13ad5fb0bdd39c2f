import { Text } from "@mantine/core";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useDeploys, useGaps, useSignal, type SignalQuery } from "../api/queries";
import { Card } from "../ui/Card";
import { quantity } from "../ui/format";
import { ErrorNote } from "../ui/notes";
import type { Line } from "../ui/TimeChart";
import { bandsOf } from "./bands";
import { marksOf } from "./marks";
import { foremost } from "./lines";
import { Plot } from "./Plot";

const PALETTE = ["#f26a12", "#1098ad", "#7048e8", "#2f9e44", "#e03131", "#f59f00", "#1c7ed6", "#c2255c"];

export interface SignalChartProps {
  id: string;
  query: SignalQuery;
  title?: string;
  color?: string;
  most?: number;
  /** How values are written; the signal's own unit when absent. */
  unit?: string;
}

/** A signal over time and its value now; everything it says of itself comes from the signal's declaration. */
export function SignalChart({ id, query, title, color, most = 6, unit }: SignalChartProps) {
  const { t, i18n } = useTranslation();
  const reading = useSignal(id, query);
  const gaps = useGaps(query.since);
  const deploys = useDeploys(query.since, query.service);
  // Lines are told apart by their labels; the figure beside the title is that of all of them together.
  const whole = useSignal(id, { ...query, by: ["-"], since: "-1m", step_s: 60 });
  const data = reading.data;
  const { times, lines } = useMemo(() => {
    const series = foremost(data?.series ?? [], most);
    const longest = series.reduce<[number, number | null][]>((a, s) => (s.points.length > a.length ? (s.points as [number, number | null][]) : a), []);
    const at = longest.map((point) => point[0]);
    const drawn: Line[] = series.map((s, position) => {
      const values = new Map(s.points.map((point) => [point[0], point[1]] as const));
      return {
        label: Object.values(s.labels).filter(Boolean).join(" · ") || (series.length > 1 ? "–" : (title ?? "")),
        color: series.length === 1 ? (color ?? "#f26a12") : (PALETTE[position % PALETTE.length] ?? "#f26a12"),
        filled: series.length === 1,
        values: at.map((time) => values.get(time) ?? null),
      };
    });
    return { times: at, lines: drawn };
  }, [data, most, color, title]);
  const more = (data?.series.length ?? 0) - lines.length;
  const bands = useMemo(
    () => (data && gaps.data ? bandsOf(gaps.data.items, data.since, data.until, (sources) => t("gap.band", { sources: sources.join(", ") })) : []),
    [data, gaps.data, t],
  );
  const marks = useMemo(() => (data && deploys.data ? marksOf(deploys.data.items, data.since, data.until, query.service) : []), [data, deploys.data, query.service]);
  const heading = title ?? (i18n.language === "zh" ? data?.title_zh : data?.title) ?? (reading.isError ? id : "…");
  const now = whole.data?.now[0]?.value;
  return (
    <Card
      title={heading}
      label={heading}
      aside={
        data ? (
          <Text fw={700} fz="lg" className="num" style={{ whiteSpace: "nowrap" }} data-testid={`signal-${id}`}>
            {quantity(now, unit ?? data.unit)}
          </Text>
        ) : null
      }
    >
      {reading.isError ? (
        <ErrorNote error={reading.error} />
      ) : (
        <Plot
          pending={reading.isPending}
          legend={lines.length > 1}
          more={more}
          title={heading}
          times={times}
          lines={lines}
          bands={bands}
          marks={marks}
          from={data?.since}
          to={data?.until}
          unit={unit ?? data?.unit ?? ""}
          format={(value) => quantity(value, unit ?? data?.unit ?? "")}
        />
      )}
    </Card>
  );
}
