import { Group, Loader, Stack, Table, Text, Title } from "@mantine/core";
import { Link, useParams } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useSchedule, type ScheduleDetail } from "../../api/queries";
import { Card } from "../../ui/Card";
import { Facts, type Fact } from "../../ui/Facts";
import { DataTable, Figure } from "../../ui/DataTable";
import { seconds } from "../../ui/format";
import { useNarrow } from "../../ui/narrow";
import { EmptyNote, MissingNote } from "../../ui/notes";
import { Ago, Clock } from "../../ui/time";
import { BlindBanner } from "../gaps/BlindBanner";
import { GapNote } from "../gaps/GapNote";
import { DurationBars } from "./DurationBars";
import { Due } from "./Due";
import { ScheduleBadge } from "./ScheduleBadge";
import { SlotStrip } from "./SlotStrip";
import { VERDICT_COLOR } from "./verdicts";
import { words } from "./words";
import { reasonText } from "../../ui/reason";

/** One schedule: what it means, who keeps it, and what became of each due time. */
export function SchedulePage() {
  const { t } = useTranslation();
  const key = useParams({ from: "/schedules/$service/$framework/$scheduleId" });
  const schedule = useSchedule(key.service, key.framework, key.scheduleId);
  if (schedule.isPending) return <Loader size="sm" />;
  if (schedule.isError) return <MissingNote error={schedule.error} none={t("schedule.notFound")} retry={() => void schedule.refetch()} list="schedules" />;
  const data = schedule.data;
  return (
    <Stack>
      <Group gap="sm">
        <ScheduleBadge schedule={data} size="lg" />
        <Title order={1} fz="xl" style={{ overflowWrap: "anywhere" }}>
          {data.name}
        </Title>
      </Group>
      <BlindBanner />
      <Card>
        <ScheduleFacts schedule={data} />
      </Card>
      <Card title={t("schedule.slots")} aside={<SlotStrip slots={data.recent} />}>
        <Slots schedule={data} />
      </Card>
      <Card title={t("schedule.durations")}>
        <GapNote since="-24h" of="schedules" period="d1" />
        <DurationBars slots={data.slots} />
      </Card>
    </Stack>
  );
}

function ScheduleFacts({ schedule }: { schedule: ScheduleDetail }) {
  const { t, i18n } = useTranslation();
  const said = words(schedule, t, i18n.language);
  const facts: Fact[] = [
    [
      t("run.task"),
      schedule.task ? (
        <Link key="task" to="/runs" search={{ task: [schedule.task] }} style={{ textDecoration: "underline" }}>
          {schedule.task}
        </Link>
      ) : (
        "–"
      ),
    ],
    [t("schedule.due"), said === schedule.expression || schedule.kind === "interval" ? said : `${said} (${schedule.expression})`],
    [t("schedule.timezone"), schedule.timezone || "UTC"],
    [t("schedule.next"), schedule.enabled ? <Due key="due" at={schedule.next_due_at} /> : "–"],
    [t("schedule.last"), <Ago key="last" at={schedule.last_run_at} />],
    [t("run.service"), schedule.service],
    [t("run.framework"), schedule.framework],
    [t("schedule.keeper"), schedule.source ? `${schedule.source}${schedule.keeper_state ? ` (${t(`state.${schedule.keeper_state}`, { defaultValue: schedule.keeper_state })})` : ""}` : "–"],
    [t("schedule.missedCount"), schedule.missed_count],
    [t("schedule.lastMissed"), schedule.last_missed_at ? <Clock key="missed" at={schedule.last_missed_at} /> : "–"],
  ];
  return <Facts facts={facts} />;
}

function Slots({ schedule }: { schedule: ScheduleDetail }) {
  const { t } = useTranslation();
  const narrow = useNarrow();
  if (schedule.slots.length === 0) return <EmptyNote>{t("schedule.noSlots")}</EmptyNote>;
  return (
    <DataTable
      name="slot-table"
      minWidth={narrow ? 0 : 640}
      spacing={4}
      highlight={false}
      columns={[
        { key: "due", title: t("schedule.dueAt"), width: narrow ? 92 : 150 },
        { key: "verdict", title: t("schedule.verdict"), width: narrow ? undefined : 190 },
        !narrow && { key: "late", title: t("schedule.lateBy"), width: 90, right: true },
        { key: "took", title: t("schedule.took"), width: 100, right: true },
        !narrow && { key: "reason", title: t("run.reason") },
        !narrow && { key: "run", title: t("run.title"), width: 140 },
      ]}
    >
      {schedule.slots.map((slot) => (
        <Table.Tr key={slot.at} data-verdict={slot.verdict}>
          <Table.Td>
            {narrow && slot.run_id ? (
              <Link to="/runs/$runId" params={{ runId: slot.run_id }} style={{ textDecoration: "underline" }}>
                <Clock at={slot.at} />
              </Link>
            ) : (
              <Clock at={slot.at} />
            )}
          </Table.Td>
          <Table.Td>
            <Text size="sm" c={slot.verdict === "ok" ? undefined : VERDICT_COLOR[slot.verdict]}>
              {t(`schedule.states.${slot.verdict}`)}
            </Text>
            {narrow && (
              <Text size="xs" c="dimmed" style={{ overflowWrap: "anywhere" }}>
                {reasonText(t, slot)}
              </Text>
            )}
          </Table.Td>
          {!narrow && <Figure>{seconds(slot.late_s)}</Figure>}
          <Figure>
            <Text size="sm" component="span" c={slot.too_fast ? "red" : undefined} title={slot.too_fast ? t("schedule.tooFast") : undefined}>
              {seconds(slot.duration_s)}
            </Text>
          </Figure>
          {!narrow && (
            <>
              <Table.Td>
                <Text size="sm" c="dimmed" truncate title={reasonText(t, slot)}>
                  {reasonText(t, slot)}
                </Text>
              </Table.Td>
              <Table.Td>
                {slot.run_id && (
                  <Link to="/runs/$runId" params={{ runId: slot.run_id }} className="mono" title={slot.run_id}>
                    {slot.run_id.slice(0, 12)}
                  </Link>
                )}
              </Table.Td>
            </>
          )}
        </Table.Tr>
      ))}
    </DataTable>
  );
}
