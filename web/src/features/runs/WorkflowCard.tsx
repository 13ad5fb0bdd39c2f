import { Anchor, Group, Stack, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useRunChildren, type Run } from "../../api/queries";
import { Card } from "../../ui/Card";
import { StateBadge } from "../../ui/StateBadge";
import { RunTable } from "./RunTable";
import { above, beside, states } from "./workflow";

/** The most runs that are listed beside a run. */
const MOST = 20;

/** Where a run stands in its workflow: what started it, what was started with it and by it. */
export function WorkflowCard({ run, started }: { run: Run; started: Run[] }) {
  const { t } = useTranslation();
  const siblings = useRunChildren(run.parent_id);
  const ancestors = above(run);
  const others = beside(run, siblings.data?.items ?? []);
  if (ancestors.length === 0 && !run.group_id && started.length === 0) return null;
  return (
    <Card title={t("run.root")}>
      <Stack gap="xs" data-testid="workflow">
        <Group gap="xs">
          {ancestors.map((id) => (
            <Group key={id} gap="xs" wrap="nowrap">
              <RunLink id={id} />
              <Text span c="dimmed" aria-hidden>
                →
              </Text>
            </Group>
          ))}
          <Text size="sm" fw={600}>
            {t("run.self")}
          </Text>
          {run.group_id && (
            <Text size="sm" c="dimmed" title={run.group_id}>
              {t("run.group")} <span className="mono">{run.group_id.slice(0, 12)}</span>
            </Text>
          )}
        </Group>
        {started.length > 0 && <Tally runs={started} text={t("run.below", { count: started.length })} />}
        {others.length > 0 && (
          <details>
            <Text component="summary" size="sm" style={{ cursor: "pointer" }}>
              <Tally runs={others} text={t("run.beside", { count: others.length })} inline />
            </Text>
            <RunTable runs={others.slice(0, MOST)} compact />
          </details>
        )}
      </Stack>
    </Card>
  );
}

function Tally({ runs, text, inline = false }: { runs: Run[]; text: string; inline?: boolean }) {
  return (
    <Group gap="xs" display={inline ? "inline-flex" : "flex"}>
      <Text size="sm">{text}</Text>
      {states(runs).map(([state, count]) => (
        <Group key={state} gap={4} wrap="nowrap">
          <StateBadge state={state} />
          <Text size="xs" c="dimmed" className="num">
            {count}
          </Text>
        </Group>
      ))}
    </Group>
  );
}

function RunLink({ id }: { id: string }) {
  return (
    <Anchor component={Link} to="/runs/$runId" params={{ runId: id } as never} size="sm" className="mono" title={id}>
      {id.slice(0, 12)}
    </Anchor>
  );
}
