import { Badge, Group, Loader, SimpleGrid, Stack, Table, Text, Timeline, Title } from "@mantine/core";
import { useParams } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useIncident, type IncidentDetail } from "../../api/queries";
import { STATE_COLOR } from "../../app/theme";
import { Card } from "../../ui/Card";
import { EmptyNote, MissingNote } from "../../ui/notes";
import { StateBadge } from "../../ui/StateBadge";
import { Ago, Clock } from "../../ui/time";
import { RunTable } from "../runs/RunTable";
import { CausesCard } from "../causes/CausesCard";
import { AlertList } from "./AlertList";
import { causesOf, isFailing, toldCause } from "./causes";
import { IncidentSteps } from "./IncidentSteps";
import { useSaid } from "./language";

/** Who did what happened by itself. */
const ITSELF = "huoyan";

export function IncidentPage() {
  const { t } = useTranslation();
  const said = useSaid();
  const { incidentId } = useParams({ from: "/incidents/$incidentId" });
  const incident = useIncident(Number(incidentId));
  if (incident.isPending) return <Loader size="sm" />;
  if (incident.isError) return <MissingNote error={incident.error} none={t("incidents.notFound")} retry={() => void incident.refetch()} list="incidents" />;
  const data = incident.data;
  return (
    <Stack>
      <Group gap="sm">
        <Badge color={STATE_COLOR[data.level]} size="lg" tt="none">
          {t(`state.${data.level}`)}
        </Badge>
        <span data-testid="incident-state" data-state={data.state}>
          <StateBadge state={data.state} size="lg" />
        </span>
        <Title order={1} fz="xl">
          {said(data, "title")}
        </Title>
      </Group>
      <div>
        <Text data-testid="incident-summary" style={{ overflowWrap: "anywhere" }}>
          {said(data, "summary")}
        </Text>
        <Text c="dimmed" size="sm">
          {t("incidents.opened")} <Ago at={data.opened_at} />
          {data.acknowledged_by ? ` · ${t("incidents.acknowledgedBy", { by: data.acknowledged_by })}` : ""}
          {data.resolved_by === ITSELF ? ` · ${t("incidents.resolvedItself")}` : ""}
          {data.resolved_by && data.resolved_by !== ITSELF ? ` · ${t("incidents.resolvedBy", { by: data.resolved_by })}` : ""}
        </Text>
      </div>
      {data.state !== "resolved" && <IncidentSteps id={data.id} state={data.state} />}
      <SimpleGrid cols={{ base: 1, lg: 2 }}>
        <Card title={t("incidents.timeline")}>
          <Happenings incident={data} />
        </Card>
        <Stack>
          <Card title={t("incidents.alerts")}>
            <AlertList alerts={data.alerts} />
          </Card>
          <Card title={t("incidents.notifications")}>
            <Notifications incident={data} />
          </Card>
        </Stack>
      </SimpleGrid>
      <Causes incident={data} />
      {data.runs.length > 0 && (
        <Card title={t("incidents.runs")}>
          <RunTable runs={data.runs} />
        </Card>
      )}
    </Stack>
  );
}

/** What is slow or fails where the incident is; of an incident about anything else, nothing. */
function Causes({ incident }: { incident: IncidentDetail }) {
  const query = causesOf(incident);
  return query === null ? null : <CausesCard query={query} failing={isFailing(incident)} told={toldCause(incident)} />;
}

function Happenings({ incident }: { incident: IncidentDetail }) {
  const { t } = useTranslation();
  const said = useSaid();
  return (
    <Timeline bulletSize={12} lineWidth={2} active={incident.timeline.length - 1} data-testid="incident-timeline">
      {incident.timeline.map((entry, position) => (
        <Timeline.Item key={`${entry.at}-${position}`} data-kind={entry.kind}>
          <Text size="xs" c="dimmed">
            <Clock at={entry.at} /> · {t(`incidents.kind.${entry.kind}`, { defaultValue: entry.kind })}
            {entry.by === ITSELF ? "" : ` · ${entry.by}`}
          </Text>
          <Text size="sm" style={{ overflowWrap: "anywhere" }}>
            {said(entry, "text")}
          </Text>
        </Timeline.Item>
      ))}
    </Timeline>
  );
}

function Notifications({ incident }: { incident: IncidentDetail }) {
  const { t } = useTranslation();
  if (incident.notifications.length === 0) return <EmptyNote>{t("incidents.noNotifications")}</EmptyNote>;
  return (
    <Table verticalSpacing={4}>
      <Table.Tbody>
        {incident.notifications.map((notification, position) => (
          <Table.Tr key={position}>
            <Table.Td>{notification.receiver}</Table.Td>
            <Table.Td>{t(`incidents.kind.${notification.event}`, { defaultValue: notification.event })}</Table.Td>
            <Table.Td>
              <StateBadge state={notification.state} />
              {notification.error && (
                <Text size="xs" c="red">
                  {notification.error}
                </Text>
              )}
            </Table.Td>
            <Table.Td ta="right">
              <Clock at={notification.sent_at ?? notification.created_at} />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
