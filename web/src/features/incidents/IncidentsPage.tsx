import { Badge, Box, Group, Loader, SegmentedControl, Stack, Table, Text, Title } from "@mantine/core";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { STATE_COLOR } from "../../app/theme";
import { useIncidents, type Incident } from "../../api/queries";
import { Card } from "../../ui/Card";
import { EmptyNote, ErrorNote } from "../../ui/notes";
import { useNarrow } from "../../ui/narrow";
import { StateBadge } from "../../ui/StateBadge";
import { Ago } from "../../ui/time";
import { BlindBanner } from "../gaps/BlindBanner";
import { GapNote } from "../gaps/GapNote";
import { useSaid } from "./language";

export function IncidentsPage() {
  const { t } = useTranslation();
  const said = useSaid();
  const narrow = useNarrow();
  const { show } = useSearch({ from: "/incidents" });
  const navigate = useNavigate({ from: "/incidents" });
  const incidents = useIncidents(show === "all" ? [] : ["open", "acknowledged"]);
  return (
    <Stack>
      <Group justify="space-between">
        <Title order={1} fz="xl">
          {t("incidents.title")}
        </Title>
        <SegmentedControl
          size="xs"
          aria-label={t("incidents.which")}
          value={show ?? "open"}
          onChange={(value) => void navigate({ search: value === "all" ? { show: "all" } : {} })}
          data={[
            { value: "open", label: t("incidents.open") },
            { value: "all", label: t("incidents.all") },
          ]}
        />
      </Group>
      <BlindBanner />
      <Card label={t("incidents.title")}>
        <GapNote since={reach(incidents.data?.items ?? [])} of="incidents" period="shown" />
        {incidents.isError ? (
          <ErrorNote error={incidents.error} retry={() => void incidents.refetch()} />
        ) : incidents.isPending ? (
          <Loader size="sm" />
        ) : incidents.data.items.length === 0 ? (
          <EmptyNote>{t(show === "all" ? "incidents.none" : "incidents.noneOpen")}</EmptyNote>
        ) : (
          <Table verticalSpacing="xs" highlightOnHover data-testid="incident-table">
            <Table.Tbody>
              {incidents.data.items.map((incident) => {
                const level = (
                  <Badge color={STATE_COLOR[incident.level]} tt="none" style={{ flexShrink: 0 }}>
                    {t(`state.${incident.level}`)}
                  </Badge>
                );
                const opened = (
                  <Text size="sm" c="dimmed" component="span" style={{ whiteSpace: "nowrap" }}>
                    <Ago at={incident.opened_at} />
                  </Text>
                );
                return (
                  <Table.Tr key={incident.id} data-incident={incident.id}>
                    {!narrow && <Table.Td w={96}>{level}</Table.Td>}
                    <Table.Td style={{ overflowWrap: "anywhere" }}>
                      {narrow && (
                        <Group gap="xs" mb={4} wrap="nowrap">
                          {level}
                          <StateBadge state={incident.state} />
                          <Box ml="auto">{opened}</Box>
                        </Group>
                      )}
                      <Link to="/incidents/$incidentId" params={{ incidentId: String(incident.id) }}>
                        <Text size="sm" fw={600}>
                          {said(incident, "title")}
                        </Text>
                      </Link>
                      <Text size="xs" c="dimmed">
                        {said(incident, "summary")}
                      </Text>
                    </Table.Td>
                    {!narrow && (
                      <>
                        <Table.Td w={120}>
                          <StateBadge state={incident.state} />
                        </Table.Td>
                        <Table.Td w={140} ta="right">
                          {opened}
                        </Table.Td>
                      </>
                    )}
                  </Table.Tr>
                );
              })}
            </Table.Tbody>
          </Table>
        )}
      </Card>
    </Stack>
  );
}

/** What a list of incidents looks back on: to the oldest one, and a day at least, for nothing may have been raised. */
function reach(incidents: Pick<Incident, "opened_at">[]): string {
  const oldest = incidents.reduce((first, each) => (each.opened_at < first ? each.opened_at : first), "9999");
  return Date.parse(oldest) < Date.now() - 86_400_000 ? oldest : "-24h";
}
