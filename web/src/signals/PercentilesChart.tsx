import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useDeploys, useGaps, useSignal, type SignalQuery } from "../api/queries";
import { Card } from "../ui/Card";
import { quantity } from "../ui/format";
import { ErrorNote } from "../ui/notes";
import type { Line } from "../ui/TimeChart";
import { bandsOf } from "./bands";
import { together } from "./lines";
import { marksOf } from "./marks";
import { Plot } from "./Plot";

const COLOURS = { p50: "#1098ad", p95: "#f59f00", p99: "#e03131" } as const;
const SHARES = ["p50", "p95", "p99"] as const;

/** Half, 95 % and 99 % of something in one chart; `family` is what their signals' names begin with. */
export function PercentilesChart({ family, query, title }: { family: "http_latency" | "task_duration"; query: SignalQuery; title: string }) {
  const { t } = useTranslation();
  // All of one thing together: a percentile of percentiles would be none.
  const whole = { ...query, by: ["-"] };
  const p50 = useSignal(`${family}_p50`, whole);
  const p95 = useSignal(`${family}_p95`, whole);
  const p99 = useSignal(`${family}_p99`, whole);
  const gaps = useGaps(query.since);
  const deploys = useDeploys(query.since, query.service);
  const data = p99.data;
  const { times, lines } = useMemo(() => {
    const points = { p50: p50.data?.series[0]?.points ?? [], p95: p95.data?.series[0]?.points ?? [], p99: p99.data?.series[0]?.points ?? [] };
    const { times: at, values } = together(SHARES.map((share) => points[share]));
    const drawn: Line[] = SHARES.map((share, position) => ({ label: share.toUpperCase(), color: COLOURS[share], values: values[position] ?? [] }));
    return { times: at, lines: drawn };
  }, [p50.data, p95.data, p99.data]);
  const bands = useMemo(
    () => (data && gaps.data ? bandsOf(gaps.data.items, data.since, data.until, (sources) => t("gap.band", { sources: sources.join(", ") })) : []),
    [data, gaps.data, t],
  );
  const marks = useMemo(() => (data && deploys.data ? marksOf(deploys.data.items, data.since, data.until, query.service) : []), [data, deploys.data, query.service]);
  const error = p50.error ?? p95.error ?? p99.error;
  return (
    <Card title={title} label={title}>
      {error ? (
        <ErrorNote error={error} />
      ) : (
        <Plot
          pending={p50.isPending || p95.isPending || p99.isPending}
          legend
          title={title}
          times={times}
          lines={lines}
          bands={bands}
          marks={marks}
          from={data?.since}
          to={data?.until}
          unit={data?.unit ?? "s"}
          format={(value) => quantity(value, data?.unit ?? "s")}
        />
      )}
    </Card>
  );
}
