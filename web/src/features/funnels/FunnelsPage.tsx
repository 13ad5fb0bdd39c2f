import { Button, Group, Loader, SegmentedControl, SimpleGrid, Stack, Text, Title } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useCardinality, useFunnels, useSignal, useSignals, type Signal } from "../../api/queries";
import { SignalChart } from "../../signals/SignalChart";
import { Card } from "../../ui/Card";
import { EmptyNote, ErrorNote } from "../../ui/notes";
import { ServiceSelect } from "../../ui/ServiceSelect";
import { BlindBanner } from "../gaps/BlindBanner";
import { GapNote } from "../gaps/GapNote";
import { FunnelCard } from "./FunnelCard";
import { ownMetrics } from "./metrics";
import { OperationTable } from "./OperationTable";
import { CHARTS, WINDOWS, type FunnelsSearch, type Window } from "./search";

const FIRST = 6;

/** What applications are for: their funnels, named operations, backlogs and the metrics they declare. */
export function FunnelsPage() {
  const { t } = useTranslation();
  const search = useSearch({ from: "/funnels" });
  const navigate = useNavigate({ from: "/funnels" });
  const { window = "h1", service } = search;
  const funnels = useFunnels(WINDOWS[window]);
  const metrics = useCardinality();
  const change = (next: FunnelsSearch) => void navigate({ search: next, replace: true });
  const shown = (funnels.data?.items ?? []).filter((each) => service === undefined || each.service === service);
  return (
    <Stack>
      <Group justify="space-between">
        <Title order={1} fz="xl">
          {t("funnel.title")}
        </Title>
        <Group gap="sm">
          <ServiceSelect
            services={(metrics.data?.items ?? []).map((each) => each.service)}
            value={service}
            onChange={(chosen) => change({ ...(search.window ? { window: search.window } : {}), ...(chosen ? { service: chosen } : {}) })}
          />
          <SegmentedControl
            size="xs"
            aria-label={t("tasks.window")}
            value={window}
            onChange={(value) => change({ ...(service ? { service } : {}), ...(value === "h1" ? {} : { window: value as "d1" | "d7" }) })}
            data={Object.keys(WINDOWS).map((value) => ({ value, label: t(`runs.windows.${value}`) }))}
          />
        </Group>
      </Group>
      <BlindBanner />
      <GapNote since={`-${WINDOWS[window]}s`} of="figures" />
      {funnels.isError ? (
        <ErrorNote error={funnels.error} retry={() => void funnels.refetch()} />
      ) : funnels.isPending ? (
        <Loader size="sm" />
      ) : shown.length === 0 ? (
        <Card label={t("funnel.title")}>
          <EmptyNote>{t("funnel.none")}</EmptyNote>
        </Card>
      ) : (
        <SimpleGrid cols={{ base: 1, md: 2, xl: 3 }}>
          {shown.map((each) => (
            <FunnelCard key={`${each.service} ${each.funnel}`} funnel={each} />
          ))}
        </SimpleGrid>
      )}
      <Operations window={window} service={service} />
      <OwnMetrics window={window} service={service} />
    </Stack>
  );
}

function Operations({ window, service }: { window: Window; service: string | undefined }) {
  const { t } = useTranslation();
  const own = service === undefined ? {} : { service };
  const now = { since: "-1m", step_s: 60, window_s: WINDOWS[window], by: ["service", "operation"], ...own };
  const charts = { ...CHARTS[window], by: ["service", "operation"], ...own };
  const backlogs = { ...CHARTS[window], by: ["service", "backlog"], ...own };
  const operations = useSignal("operations_per_minute", now);
  const backlog = useSignal("backlog", backlogs);
  const operated = (operations.data?.now.length ?? 0) > 0;
  const waits = (backlog.data?.series.length ?? 0) > 0;
  return (
    <>
      {operated && (
        <Card title={t("funnel.operations")}>
          <OperationTable query={now} />
        </Card>
      )}
      {(operated || waits) && (
        <SimpleGrid cols={{ base: 1, md: 2, lg: 3 }}>
          {operated && <SignalChart id="operation_success_ratio" query={charts} title={t("funnel.successChart")} />}
          {operated && <SignalChart id="operation_duration_p95" query={charts} title={t("funnel.durationChart")} />}
          {waits && <SignalChart id="backlog" query={backlogs} title={t("funnel.backlog")} />}
        </SimpleGrid>
      )}
    </>
  );
}

function OwnMetrics({ window, service }: { window: Window; service: string | undefined }) {
  const { t, i18n } = useTranslation();
  const [every, setEvery] = useState(false);
  const signals = useSignals();
  const known = useCardinality();
  const metrics = ownMetrics(signals.data?.items ?? [], known.data?.items ?? [], service);
  const title = (signal: Signal) => (i18n.language === "zh" ? signal.title_zh : signal.title);
  if (metrics.length === 0) return null;
  return (
    <Stack gap="xs">
      <Title order={2} fz="md">
        {t("funnel.own")}
      </Title>
      <SimpleGrid cols={{ base: 1, md: 2, lg: 3 }} data-testid="own-metrics">
        {metrics.slice(0, every ? undefined : FIRST).map((signal) => (
          <SignalChart
            key={signal.id}
            id={signal.id}
            query={{ ...CHARTS[window], by: signal.labels.length > 1 ? signal.labels.filter((label) => label !== "service") : ["-"], ...(service === undefined ? {} : { service }) }}
            title={title(signal)}
          />
        ))}
      </SimpleGrid>
      {!every && metrics.length > FIRST && (
        <Group>
          <Button variant="light" size="xs" onClick={() => setEvery(true)}>
            {t("funnel.showAll", { count: metrics.length })}
          </Button>
        </Group>
      )}
      <Text size="xs" c="dimmed">
        {t("funnel.ownHelp")}
      </Text>
    </Stack>
  );
}
