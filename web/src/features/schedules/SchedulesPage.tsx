import { Box, Group, Loader, SegmentedControl, Stack, Table, Text, Title } from "@mantine/core";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useSchedules, type Schedule } from "../../api/queries";
import { Card } from "../../ui/Card";
import { DataTable } from "../../ui/DataTable";
import { EmptyNote, ErrorNote } from "../../ui/notes";
import { Name } from "../../ui/Name";
import { useNarrow } from "../../ui/narrow";
import { StateBadge } from "../../ui/StateBadge";
import { Ago } from "../../ui/time";
import { BlindBanner } from "../gaps/BlindBanner";
import { GapNote } from "../gaps/GapNote";
import { Due } from "./Due";
import { ScheduleBadge } from "./ScheduleBadge";
import { SlotStrip } from "./SlotStrip";
import { params, words } from "./words";

/** What is due when, and whether it was done; what went wrong first. */
export function SchedulesPage() {
  const { t } = useTranslation();
  const { show = "all" } = useSearch({ from: "/schedules" });
  const navigate = useNavigate({ from: "/schedules" });
  const schedules = useSchedules();
  const items = schedules.data?.items ?? [];
  const wrong = items.filter(isWrong);
  return (
    <Stack>
      <Group justify="space-between">
        <Title order={1} fz="xl">
          {t("schedule.title")}
        </Title>
        <SegmentedControl
          size="xs"
          aria-label={t("schedule.which")}
          value={show}
          onChange={(value) => void navigate({ search: value === "wrong" ? { show: "wrong" } : {}, replace: true })}
          data={[
            { value: "all", label: `${t("schedule.all")} ${items.length}` },
            { value: "wrong", label: `${t("schedule.wrong")} ${wrong.length}` },
          ]}
        />
      </Group>
      <BlindBanner />
      <Card label={t("schedule.title")}>
        <GapNote since="-24h" of="schedules" period="d1" />
        {schedules.isError ? (
          <ErrorNote error={schedules.error} retry={() => void schedules.refetch()} />
        ) : schedules.isPending ? (
          <Loader size="sm" />
        ) : items.length === 0 ? (
          <EmptyNote>{t("schedule.none")}</EmptyNote>
        ) : (
          <ScheduleTable schedules={show === "wrong" ? wrong : items} />
        )}
      </Card>
    </Stack>
  );
}

function isWrong(schedule: Schedule): boolean {
  return schedule.enabled && schedule.state !== null && schedule.state !== "ok" && schedule.state !== "unknown";
}

function ScheduleTable({ schedules }: { schedules: Schedule[] }) {
  const { t, i18n } = useTranslation();
  const navigate = useNavigate();
  const narrow = useNarrow();
  return (
    <DataTable
      name="schedule-table"
      minWidth={narrow ? 0 : 900}
      columns={[
        { key: "state", title: t("run.state"), width: narrow ? 92 : 146 },
        { key: "name", title: t("schedule.name") },
        !narrow && { key: "due", title: t("schedule.due"), width: 150 },
        { key: "next", title: t("schedule.next"), width: narrow ? 84 : 110 },
        !narrow && { key: "last", title: t("schedule.last"), width: 168 },
        !narrow && { key: "history", title: t("schedule.history"), width: 216 },
      ]}
    >
      {schedules.map((schedule) => (
        <Table.Tr
          key={`${schedule.service} ${schedule.framework} ${schedule.id}`}
          className="row-link"
          data-schedule={schedule.id}
          onClick={() => void navigate({ to: "/schedules/$service/$framework/$scheduleId", params: params(schedule) })}
        >
          <Table.Td>
            <ScheduleBadge schedule={schedule} />
          </Table.Td>
          <Table.Td>
            <Link to="/schedules/$service/$framework/$scheduleId" params={params(schedule)} onClick={(event) => event.stopPropagation()}>
              <Text size="sm" fw={500} {...(narrow ? { style: { overflowWrap: "anywhere" } } : { truncate: true })}>
                <Name of={schedule.name} />
              </Text>
            </Link>
            {narrow && <Text size="xs">{words(schedule, t, i18n.language)}</Text>}
            <Text size="xs" c="dimmed" truncate>
              {[schedule.service, schedule.task !== schedule.name ? schedule.task : "", schedule.framework].filter(Boolean).join(" · ")}
            </Text>
          </Table.Td>
          {!narrow && (
            <Table.Td>
              <Text size="sm" truncate title={schedule.expression}>
                {words(schedule, t, i18n.language)}
              </Text>
              <Text size="xs" c="dimmed" truncate>
                {schedule.timezone || (schedule.kind === "cron" ? "UTC" : "")}
              </Text>
            </Table.Td>
          )}
          <Table.Td>
            <Text size="sm">{schedule.enabled ? <Due at={schedule.next_due_at} /> : "–"}</Text>
          </Table.Td>
          {!narrow && (
            <>
              <Table.Td>
                <Group gap={6} wrap="nowrap">
                  {schedule.last_state && <StateBadge state={schedule.last_state} size="xs" />}
                  <Text size="sm" c="dimmed" style={{ whiteSpace: "nowrap" }}>
                    <Ago at={schedule.last_run_at} />
                  </Text>
                </Group>
              </Table.Td>
              <Table.Td>
                <Box style={{ overflow: "hidden" }}>
                  <SlotStrip slots={schedule.recent} />
                </Box>
              </Table.Td>
            </>
          )}
        </Table.Tr>
      ))}
    </DataTable>
  );
}
