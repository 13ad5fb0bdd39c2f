import { Anchor, Group, Loader, SegmentedControl, SimpleGrid, Stack, Text, Title } from "@mantine/core";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import type { TFunction } from "i18next";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useDependencies, type Dependency } from "../../api/queries";
import { SignalChart } from "../../signals/SignalChart";
import { Card } from "../../ui/Card";
import { percent, rate, seconds } from "../../ui/format";
import { ErrorNote, NoneNote } from "../../ui/notes";
import { StateBadge } from "../../ui/StateBadge";
import { Ago } from "../../ui/time";
import { BlindBanner } from "../gaps/BlindBanner";
import { GapNote } from "../gaps/GapNote";
import { PartTable } from "./PartTable";
import { WINDOWS, type DependencySearch } from "./search";
import { nameOf, partKey, partName, reasonOf } from "./words";

/** What the charts look back on, by the window of the figures; about 120 points each. */
const CHARTS = {
  m5: { since: "-30m", window_s: 60, step_s: 15 },
  h1: { since: "-1h", window_s: 60, step_s: 30 },
  d1: { since: "-24h", window_s: 720, step_s: 720 },
} as const;

/** Signals that draw a kind of dependency, in the order of the charts, the labels that lines are told apart by, and the one that says which it is. */
const SIGNALS = {
  database: { ids: ["db_queries_per_minute", "db_error_ratio", "db_query_p95", "db_query_p99"], by: ["operation", "table"], target: "target" },
  redis: { ids: ["redis_commands_per_minute", "redis_error_ratio", "redis_p95", "p99:redis_command_duration_seconds"], by: ["command"], target: "target" },
  http: { ids: ["http_client_requests_per_minute", "http_client_failure_ratio", "http_client_p95", "p99:http_client_request_duration_seconds"], by: ["method"], target: "host" },
  smtp: { ids: ["smtp_mails_per_minute", "smtp_error_ratio", "smtp_p95", "p99:smtp_send_duration_seconds"], by: [], target: "host" },
} as const;
const CHART_TITLES = ["perMinute", "errors", "p95", "p99"] as const;

/** One dependency of one service: how it is and why, its calls by kind, and how that went. */
export function DependencyPage() {
  const { t } = useTranslation();
  const { service, kind } = useParams({ from: "/dependencies/$service/$kind" });
  const search = useSearch({ from: "/dependencies/$service/$kind" });
  const navigate = useNavigate({ from: "/dependencies/$service/$kind" });
  const window = search.window ?? "m5";
  const dependencies = useDependencies(WINDOWS[window]);
  if (dependencies.isPending) return <Loader size="sm" />;
  if (dependencies.isError) return <ErrorNote error={dependencies.error} retry={() => void dependencies.refetch()} />;
  const found = dependencies.data.items.find((each) => each.service === service && each.kind === kind && each.target === (search.target ?? ""));
  if (!found) return <NoneNote list="dependencies">{t("dependency.notFound")}</NoneNote>;
  const change = (next: Parameters<typeof changed>[1]) => void navigate({ search: changed(search, next), replace: true });
  const reason = reasonOf(found, t);
  return (
    <Stack>
      <Group justify="space-between">
        <Group gap="sm" wrap="nowrap" style={{ minWidth: 0 }}>
          <StateBadge state={found.health} size="lg" />
          <Title order={1} fz="xl" style={{ overflowWrap: "anywhere" }}>
            {nameOf(found, t)}
          </Title>
        </Group>
        <SegmentedControl
          size="xs"
          aria-label={t("tasks.window")}
          value={window}
          onChange={(value) => change({ window: value === "m5" ? undefined : (value as "h1" | "d1") })}
          data={Object.keys(WINDOWS).map((value) => ({ value, label: t(`dependency.windows.${value}`) }))}
        />
      </Group>
      <BlindBanner />
      <Card>
        <GapNote since={`-${WINDOWS[window]}s`} of="figures" />
        {reason && (
          <Text mb="sm" fw={600} c={found.health === "failing" ? "red" : "orange"} data-testid="reason">
            {reason}
          </Text>
        )}
        <Facts dependency={found} />
      </Card>
      {found.parts.some((part) => Object.keys(part.labels).length > 0) && (
        <Card title={t("dependency.parts")}>
          <PartTable
            parts={found.parts}
            chosen={search.part}
            onChoose={(part) => change({ part })}
          />
        </Card>
      )}
      <Charts dependency={found} window={window} part={search.part} onWhole={() => change({ part: undefined })} />
    </Stack>
  );
}

/** A search with something changed; what is undefined goes out of the address. */
function changed(search: DependencySearch, next: { [K in keyof DependencySearch]: DependencySearch[K] | undefined }): DependencySearch {
  return Object.fromEntries(Object.entries({ ...search, ...next }).filter(([, value]) => value !== undefined));
}

function Facts({ dependency }: { dependency: Dependency }) {
  const { t } = useTranslation();
  const { pool, last_success_at: answered } = dependency;
  const facts: [string, ReactNode][] = [
    [t("dependency.rate"), rate(dependency.calls_per_s)],
    [t("dependency.errors"), `${percent(dependency.error_ratio)}${dependency.errors > 0 ? ` (${dependency.errors})` : ""}`],
    ["P50", seconds(dependency.p50_s)],
    ["P95", seconds(dependency.p95_s)],
    ["P99", seconds(dependency.p99_s)],
    [t("dependency.before"), seconds(dependency.p95_before_s)],
    ...(pool === null ? [] : [[t("dependency.pool"), poolText(pool, t)] as [string, ReactNode]]),
    [t("dependency.answered"), answered === null ? "–" : <Ago key="answered" at={answered} />],
    [
      t("run.service"),
      <Link key="service" to="/dependencies" search={{ service: dependency.service }} style={{ textDecoration: "underline" }}>
        {dependency.service}
      </Link>,
    ],
  ];
  return (
    <SimpleGrid cols={{ base: 2, sm: 3, lg: 6 }} spacing="sm" data-testid="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <Text size="xs" c="dimmed" style={{ overflowWrap: "anywhere" }}>
            {name}
          </Text>
          <Text size="sm" component="div" className="num">
            {value}
          </Text>
        </div>
      ))}
    </SimpleGrid>
  );
}

function poolText(pool: NonNullable<Dependency["pool"]>, t: TFunction): string {
  const used = pool.in_use === null ? "–" : t("dependency.inUse", { used: pool.in_use, most: pool.most ?? "∞" });
  return [used, pool.wait_p95_s === null ? "" : t("dependency.waits", { wait: seconds(pool.wait_p95_s) })].filter(Boolean).join(" · ");
}

function Charts({ dependency, window, part, onWhole }: { dependency: Dependency; window: keyof typeof CHARTS; part: string | undefined; onWhole: () => void }) {
  const { t } = useTranslation();
  const signals = SIGNALS[dependency.kind];
  const chosen = dependency.parts.find((each) => part !== undefined && partKey(each.labels) === part);
  const labels = Object.entries(chosen?.labels ?? {}).filter(([name]) => (signals.by as readonly string[]).includes(name));
  const query = {
    ...CHARTS[window],
    service: dependency.service,
    by: signals.by.length > 0 ? [...signals.by] : ["-"],
    label: [...(dependency.target ? [`${signals.target}=${dependency.target}`] : []), ...labels.map(([name, value]) => `${name}=${value}`)],
  };
  const pool = { ...CHARTS[window], service: dependency.service, by: ["pool"], label: [`pool=${dependency.target}`] };
  return (
    <Stack gap="xs">
      {chosen && labels.length > 0 && (
        <Text size="sm" c="dimmed">
          {t("dependency.only", { part: partName(Object.fromEntries(labels), t) })}{" "}
          <Anchor component="button" size="sm" onClick={onWhole}>
            {t("dependency.showAll")}
          </Anchor>
        </Text>
      )}
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        {signals.ids.map((id, position) => (
          <SignalChart key={id} id={id} query={query} title={t(`dependency.charts.${CHART_TITLES[position] ?? "perMinute"}`)} />
        ))}
        {dependency.pool !== null && <SignalChart id="db_pool_in_use" query={pool} title={t("dependency.charts.pool")} />}
        {dependency.pool !== null && <SignalChart id="db_pool_wait_p95" query={pool} title={t("dependency.charts.wait")} />}
      </SimpleGrid>
    </Stack>
  );
}
