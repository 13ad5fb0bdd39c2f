import { Group, Stack, Text } from "@mantine/core";
import type { IncidentDetail } from "../../api/queries";
import { Labels } from "../../ui/Labels";
import { StateBadge } from "../../ui/StateBadge";
import { useSaid } from "./language";

/** The alerts of an incident: why each is in its state, and the labels that tell it from the others of its rule. */
export function AlertList({ alerts }: { alerts: IncidentDetail["alerts"] }) {
  const said = useSaid();
  return (
    <Stack gap="xs">
      {alerts.map((alert) => (
        <Group key={alert.id} gap="xs" wrap="nowrap" align="flex-start" data-alert={alert.id}>
          <StateBadge state={alert.state} />
          <Stack gap={2}>
            <Text size="sm" style={{ overflowWrap: "anywhere" }}>
              {said(alert, "reason")}
            </Text>
            <Labels of={alert.labels} />
          </Stack>
        </Group>
      ))}
    </Stack>
  );
}
