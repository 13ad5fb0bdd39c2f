import { Group, Stack, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { IncidentDetail } from "../../api/queries";
import { Labels } from "../../ui/Labels";
import { StateBadge } from "../../ui/StateBadge";
import { useSaid } from "./language";

/** The alerts of an incident: why each is in its state, and the labels that tell it from the others of its rule. */
export function AlertList({ alerts }: { alerts: IncidentDetail["alerts"] }) {
  const { t } = useTranslation();
  const said = useSaid();
  return (
    <Stack gap="xs">
      {latest(alerts).map(([alert, times]) => (
        <Group key={alert.id} gap="xs" wrap="nowrap" align="flex-start" data-alert={alert.id}>
          <StateBadge state={alert.state} />
          <Stack gap={2}>
            <Text size="sm" style={{ overflowWrap: "anywhere" }}>
              {said(alert, "reason")}
            </Text>
            <Group gap={6}>
              <Labels of={alert.labels} />
              {times > 1 && (
                <Text size="xs" c="dimmed">
                  {t("incidents.times", { count: times })}
                </Text>
              )}
            </Group>
          </Stack>
        </Group>
      ))}
    </Stack>
  );
}

type Alerts = IncidentDetail["alerts"];

/** The latest alert of each rule and set of labels, and how many there were: one that flaps is one thing. */
function latest(alerts: Alerts): [Alerts[number], number][] {
  const found = new Map<string, [Alerts[number], number]>();
  for (const alert of [...alerts].sort((a, b) => a.id - b.id)) {
    const key = JSON.stringify([alert.rule, alert.level, Object.entries(alert.labels).sort()]);
    found.set(key, [alert, (found.get(key)?.[1] ?? 0) + 1]);
  }
  return [...found.values()];
}
