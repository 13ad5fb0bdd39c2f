import { Badge, Group, Stack, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { FailureGroup } from "../../api/queries";
import { count } from "../../ui/format";
import { useNarrow } from "../../ui/narrow";
import { Ago } from "../../ui/time";
import { Spark } from "../../ui/Spark";
import { headline } from "./headline";

/** The pairs (minute, count) arrive as plain arrays from JSON. */
type ListedGroup = Omit<FailureGroup, "per_minute"> & { per_minute: number[][] };

/** Failure groups, the most frequent first: what, how often, where, since when. */
export function FailureList({ groups }: { groups: ListedGroup[] }) {
  const { t } = useTranslation();
  const narrow = useNarrow();
  return (
    <Stack gap={2} data-testid="failure-list">
      {groups.map((group) => (
        <Link
          key={group.fingerprint}
          to="/runs"
          search={{ failure: group.fingerprint }}
          data-fingerprint={group.fingerprint}
          style={{ padding: "6px 0" }}
        >
          <Group wrap="nowrap" gap="sm">
            <Badge color="red" variant="light" size="lg" radius="sm" className="num" miw={60} style={{ flexShrink: 0 }}>
              {count(group.count)}
            </Badge>
            <div style={{ flex: 1, minWidth: 0 }}>
              <Text size="sm" fw={600} lineClamp={2} style={{ overflowWrap: "anywhere" }} title={group.reason ? headline(t, group) : group.title}>
                {headline(t, group)}
              </Text>
              <Text size="xs" c="dimmed" truncate>
                {group.tasks.join(", ")}
              </Text>
            </div>
            {!narrow && <Spark points={group.per_minute} width={72} />}
            <Text size="xs" c="dimmed" w={narrow ? undefined : 88} ta="right" style={{ flexShrink: 0 }}>
              <Ago at={group.last_seen_at} />
            </Text>
          </Group>
        </Link>
      ))}
    </Stack>
  );
}
