import { Box, Group, Loader, SegmentedControl, Select, SimpleGrid, Stack, Text, Title } from "@mantine/core";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useResources } from "../../api/queries";
import { SignalChart } from "../../signals/SignalChart";
import { Card } from "../../ui/Card";
import { quantity } from "../../ui/format";
import { EmptyNote, ErrorNote } from "../../ui/notes";
import { ServiceSelect } from "../../ui/ServiceSelect";
import { BlindBanner } from "../gaps/BlindBanner";
import { GapNote } from "../gaps/GapNote";
import { HeatMap } from "./HeatMap";
import { HostTable } from "./HostTable";
import { NodesNote } from "./NodesNote";
import { HOST_MEASURES, PROCESS_MEASURES, rowsOf, type HostMeasure, type ProcessMeasure } from "./scale";
import { PERIODS, type Period, type ResourcesSearch } from "./search";

const UNITS: Record<ProcessMeasure, string> = { cpu: "ratio", memory_bytes: "bytes", event_loop_lag_s: "seconds", gc_pause_s: "seconds", open_files: "count", threads: "count" };
const CHARTS = {
  h1: { since: "-1h", step_s: 30, window_s: 60 },
  h6: { since: "-6h", step_s: 180, window_s: 180 },
  d1: { since: "-24h", step_s: 720, window_s: 720 },
} as const;
const PROCESS_SIGNALS = { cpu: "process_cpu", memory_bytes: "process_memory", event_loop_lag_s: "event_loop_lag_p99", gc_pause_s: "gc_pause_p99", open_files: "process_open_files", threads: "process_threads" } as const;
const HOST_SIGNALS = { cpu: "host_cpu", memory: "host_memory", disk: "host_disk" } as const;

/** What processes and hosts use, as maps over time; a row opens its charts. */
export function ResourcesPage() {
  const { t } = useTranslation();
  const search = useSearch({ from: "/resources" });
  const navigate = useNavigate({ from: "/resources" });
  const { period = "h1", measure = "cpu", hostMeasure = "cpu", service, worker, host } = search;
  const resources = useResources(PERIODS[period]);
  const change = (next: { [K in keyof ResourcesSearch]: ResourcesSearch[K] | undefined }) =>
    void navigate({ search: Object.fromEntries(Object.entries({ ...search, ...next }).filter(([, value]) => value !== undefined)), replace: true });
  const data = resources.data;
  const all = useMemo(
    () =>
      (data?.processes ?? [])
        .filter((each) => service === undefined || each.service === service)
        .map((each) => ({ name: each.worker, note: each.service, values: each[measure] })),
    [data, service, measure],
  );
  const processes = useMemo(() => rowsOf(all), [all]);
  const hosts = useMemo(() => rowsOf((data?.hosts ?? []).map((each) => ({ name: each.host, note: each.sources[hostMeasure] ?? "", values: each[hostMeasure] }))), [data, hostMeasure]);
  const left = all.filter((row) => row.values.some((value) => value !== null)).length - processes.length;
  if (resources.isPending) return <Loader size="sm" />;
  if (resources.isError) return <ErrorNote error={resources.error} retry={() => void resources.refetch()} />;
  return (
    <Stack>
      <Group justify="space-between">
        <Title order={1} fz="xl">
          {t("resource.title")}
        </Title>
        <Group gap="sm">
          <ServiceSelect services={resources.data.processes.map((each) => each.service)} value={service} onChange={(chosen) => change({ service: chosen, worker: undefined })} />
          <SegmentedControl
            size="xs"
            aria-label={t("runs.window")}
            value={period}
            onChange={(value) => change({ period: value === "h1" ? undefined : (value as Exclude<Period, "h1">) })}
            data={Object.keys(PERIODS).map((value) => ({ value, label: t(`resource.periods.${value}`) }))}
          />
        </Group>
      </Group>
      <BlindBanner />
      <Card
        title={t("resource.processes")}
        aside={<Measure label={t("resource.measure")} value={measure} known={PROCESS_MEASURES} onChange={(value) => change({ measure: value === "cpu" ? undefined : value })} />}
      >
        <GapNote since={CHARTS[period].since} of="figures" />
        {processes.length === 0 ? (
          <EmptyNote>{t("resource.none")}</EmptyNote>
        ) : (
          <>
            <HeatMap
              title={`${t("resource.processes")}: ${t(`resource.measures.${measure}`)}`}
              times={resources.data.times}
              rows={processes}
              measure={measure}
              format={(value) => quantity(value, UNITS[measure])}
              chosen={worker}
              onChoose={(name) => change({ worker: name, host: undefined })}
            />
            {left > 0 && (
              <Text size="xs" c="dimmed">
                {t("resource.more", { count: left })}
              </Text>
            )}
          </>
        )}
      </Card>
      {worker !== undefined && (
        <Charts title={worker} signals={PROCESS_SIGNALS} period={period} label={`worker=${worker}`}>
          <Link to="/runs" search={{ worker: [worker] }} style={{ textDecoration: "underline" }}>
            <Text size="sm">{t("resource.runs")}</Text>
          </Link>
        </Charts>
      )}
      {hosts.length > 0 && (
        <Card
          title={t("resource.hosts")}
          aside={<Measure label={t("resource.hostMeasure")} value={hostMeasure} known={HOST_MEASURES} onChange={(value) => change({ hostMeasure: value === "cpu" ? undefined : value })} />}
        >
          <HeatMap
            title={`${t("resource.hosts")}: ${t(`resource.measures.${hostMeasure}`)}`}
            times={resources.data.times}
            rows={hosts}
            measure={hostMeasure}
            format={(value) => quantity(value, "ratio")}
            chosen={host}
            onChoose={(name) => change({ host: name, worker: undefined })}
          />
          <Box mt="sm">
            <HostTable hosts={resources.data.hosts} />
          </Box>
          {resources.data.node_exporters && <NodesNote nodes={resources.data.node_exporters} hosts={resources.data.hosts} />}
        </Card>
      )}
      {host !== undefined && <Charts title={host} signals={HOST_SIGNALS} period={period} label={`host=${host}`} />}
    </Stack>
  );
}

function Measure<M extends ProcessMeasure | HostMeasure>({ label, value, known, onChange }: { label: string; value: M; known: readonly M[]; onChange: (value: M) => void }) {
  const { t } = useTranslation();
  const data = known.map((each) => ({ value: each as string, label: t(`resource.measures.${each}`) }));
  return (
    <>
      <SegmentedControl size="xs" visibleFrom="md" aria-label={label} value={value} onChange={(chosen) => onChange(chosen as M)} data={data} />
      <Select size="xs" hiddenFrom="md" w={150} aria-label={label} value={value} allowDeselect={false} onChange={(chosen) => chosen !== null && onChange(chosen as M)} data={data} />
    </>
  );
}

function Charts({ title, signals, period, label, children }: { title: string; signals: Record<string, string>; period: Period; label: string; children?: React.ReactNode }) {
  const { t } = useTranslation();
  return (
    <Stack gap="xs" data-testid="resource-charts">
      <Group justify="space-between">
        <Text fw={600} style={{ overflowWrap: "anywhere" }}>
          {title}
        </Text>
        {children}
      </Group>
      <SimpleGrid cols={{ base: 1, md: 2, lg: 3 }}>
        {Object.entries(signals).map(([measure, id]) => (
          <SignalChart key={id} id={id} query={{ ...CHARTS[period], by: ["-"], label: [label] }} title={t(`resource.measures.${measure}`)} unit={measure === "cpu" ? "ratio" : undefined} />
        ))}
      </SimpleGrid>
    </Stack>
  );
}
