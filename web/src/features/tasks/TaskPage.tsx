import { Anchor, Group, SegmentedControl, SimpleGrid, Stack, Text, Title } from "@mantine/core";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { PercentilesChart } from "../../signals/PercentilesChart";
import { SignalChart } from "../../signals/SignalChart";
import { DeploysCard } from "../deploys/DeploysCard";
import { BlindBanner } from "../gaps/BlindBanner";
import { CausesCard } from "../causes/CausesCard";
import { WINDOWS, periodOf, spanOf, stepOf } from "./order";
import { NoneNote } from "../../ui/notes";

const CHARTS = ["task_runs_per_minute", "task_failure_ratio", "task_wait_p95"] as const;

/** One task: its figures over time, and what its slowest runs do differently. */
export function TaskPage() {
  const { t } = useTranslation();
  const search = useSearch({ from: "/tasks/one" });
  const navigate = useNavigate({ from: "/tasks/one" });
  const { task = "", service, window = "h1" } = search;
  const since = `-${WINDOWS[window]}s`;
  const whose = { task, ...(service ? { service } : {}) };
  const chart = { ...whose, since, step_s: stepOf(window), window_s: spanOf(window) };
  if (search.task === undefined) return <NoneNote list="tasks">{t("tasks.which")}</NoneNote>;
  return (
    <Stack>
      <Group justify="space-between">
        <div>
          <Title order={1} fz="xl" style={{ overflowWrap: "anywhere" }}>
            {task || t("tasks.unnamed")}
          </Title>
          <Text size="sm" c="dimmed">
            {service}
            {service ? " · " : ""}
            <Anchor component={Link} to="/runs" search={{ task: [task], ...(service ? { service: [service] } : {}), period: periodOf(window) } as never} inherit>
              {t("tasks.itsRuns")}
            </Anchor>
          </Text>
        </div>
        <SegmentedControl
          size="xs"
          aria-label={t("tasks.window")}
          value={window}
          onChange={(value) => void navigate({ search: { ...search, window: value as keyof typeof WINDOWS }, replace: true })}
          data={Object.keys(WINDOWS).map((value) => ({ value, label: t(`runs.windows.${value}`) }))}
        />
      </Group>
      <BlindBanner />
      <CausesCard query={{ ...whose, since }} />
      <DeploysCard since={since} of={whose} />
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <PercentilesChart family="task_duration" query={chart} title={t("tasks.durations")} />
        {CHARTS.map((id) => (
          <SignalChart key={id} id={id} query={chart} />
        ))}
      </SimpleGrid>
    </Stack>
  );
}
