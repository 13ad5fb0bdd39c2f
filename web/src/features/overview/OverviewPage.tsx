import { Anchor, Loader, SimpleGrid, Stack } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useFailures, useOverview, useQueues, useRuns } from "../../api/queries";
import { SignalChart } from "../../signals/SignalChart";
import { Card } from "../../ui/Card";
import { problemText } from "../../ui/problem";
import { EmptyNote, ErrorNote } from "../../ui/notes";
import { BlindBanner } from "../gaps/BlindBanner";
import { GapNote } from "../gaps/GapNote";
import { FailureList } from "../failures/FailureList";
import { QueueTable } from "../queues/QueueTable";
import { RunTable } from "../runs/RunTable";
import { Verdict } from "./Verdict";

/** The charts look back half an hour in windows of a minute, so that a change shows at once. */
const CHART = { since: "-30m", window_s: 60, step_s: 15, by: ["service"] };

/** First screen, in the order of the questions a person asks: is all well, what fails, what waits, since when, what runs. */
export function OverviewPage() {
  const { t } = useTranslation();
  const overview = useOverview();
  const failures = useFailures("-1h", 6);
  const queues = useQueues();
  const runs = useRuns({}, 12);
  if (overview.isPending) return <Loader size="sm" />;
  if (overview.isError) return <ErrorNote error={overview.error} retry={() => void overview.refetch()} />;
  const latest = runs.data?.pages[0]?.items ?? [];
  return (
    <Stack>
      <Verdict overview={overview.data} />
      <BlindBanner />
      <SimpleGrid cols={{ base: 1, lg: 2 }}>
        <Card
          title={t("overview.failures")}
          aside={
            <Anchor component={Link} to="/failures" size="xs">
              {t("overview.allFailures")}
            </Anchor>
          }
        >
          <GapNote since="-1h" of="failures" period="h1" />
          {failures.data && failures.data.items.length > 0 ? (
            <FailureList groups={failures.data.items} />
          ) : (
            <EmptyNote>{failures.isError ? problemText(t, failures.error) : t("overview.noFailures")}</EmptyNote>
          )}
        </Card>
        <Card
          title={t("overview.queues")}
          aside={
            <Anchor component={Link} to="/queues" size="xs">
              {t("overview.allQueues")}
            </Anchor>
          }
        >
          <QueueTable queues={queues.data?.items ?? []} most={8} />
        </Card>
      </SimpleGrid>
      <SimpleGrid cols={{ base: 1, md: 3 }}>
        <SignalChart id="task_runs_per_minute" query={CHART} title={t("overview.throughput")} />
        <SignalChart id="task_failure_ratio" query={CHART} title={t("overview.failureRatio")} />
        <SignalChart id="task_duration_p95" query={CHART} title={t("overview.p95")} />
      </SimpleGrid>
      <Card
        title={t("overview.latest")}
        aside={
          <Anchor component={Link} to="/runs" size="xs">
            {t("overview.allRuns")}
          </Anchor>
        }
      >
        <GapNote since="-1h" period="h1" />
        {latest.length > 0 ? <RunTable runs={latest} /> : <EmptyNote>{t("overview.noRuns")}</EmptyNote>}
      </Card>
    </Stack>
  );
}
