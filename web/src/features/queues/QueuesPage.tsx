import { Group, Loader, SegmentedControl, SimpleGrid, Stack, Title } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useQueues } from "../../api/queries";
import { SignalChart } from "../../signals/SignalChart";
import { Card } from "../../ui/Card";
import { ErrorNote } from "../../ui/notes";
import { BlindBanner } from "../gaps/BlindBanner";
import { GapNote } from "../gaps/GapNote";
import { Discrepancies } from "./Discrepancies";
import { QueueTable } from "./QueueTable";

/** What the charts can look back on; the step keeps their points at about 120. */
const CHARTS = {
  h1: { since: "-1h", window_s: 60, step_s: 30 },
  d1: { since: "-24h", window_s: 720, step_s: 720 },
} as const;
const LINES = 8;

/** What waits, for how long, and how that went. */
export function QueuesPage() {
  const { t } = useTranslation();
  const [period, setPeriod] = useState<keyof typeof CHARTS>("h1");
  const queues = useQueues();
  const query = { ...CHARTS[period], by: ["service", "queue"] };
  return (
    <Stack>
      <Group justify="space-between">
        <Title order={1} fz="xl">
          {t("queue.title")}
        </Title>
        <SegmentedControl
          size="xs"
          aria-label={t("runs.window")}
          value={period}
          onChange={(value) => setPeriod(value as keyof typeof CHARTS)}
          data={Object.keys(CHARTS).map((value) => ({ value, label: t(`runs.windows.${value}`) }))}
        />
      </Group>
      <BlindBanner />
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <SignalChart id="queue_depth" query={query} title={t("queue.depthChart")} most={LINES} />
        <SignalChart id="task_wait_p95" query={query} title={t("queue.waitChart")} most={LINES} />
      </SimpleGrid>
      <Card label={t("queue.title")}>
        <GapNote since="-1h" of="queues" period="h1" />
        {queues.isError ? (
          <ErrorNote error={queues.error} retry={() => void queues.refetch()} />
        ) : queues.isPending ? (
          <Loader size="sm" />
        ) : (
          <QueueTable queues={queues.data.items} />
        )}
      </Card>
      <Discrepancies />
    </Stack>
  );
}
