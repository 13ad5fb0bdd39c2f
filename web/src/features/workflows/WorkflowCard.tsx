import { Group, Stack, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useRunWorkflow, type Workflow, type WorkflowMember } from "../../api/queries";
import { Card } from "../../ui/Card";
import { count } from "../../ui/format";
import { StateBadge } from "../../ui/StateBadge";
import { Ago } from "../../ui/time";
import { StateBar } from "./StateBar";
import { WorkflowGraph } from "./WorkflowGraph";

/** The most runs of a large node that are listed below the picture. */
const MOST_BLOCKERS = 8;

/** The workflow that a run stands in, and what holds it up; nothing for a run that stands alone. */
export function WorkflowCard({ runId }: { runId: string }) {
  const { t } = useTranslation();
  const workflow = useRunWorkflow(runId);
  const data = workflow.data;
  if (!data || (data.total < 2 && data.planned === 0)) return null;
  return (
    <Card
      title={t("run.root")}
      aside={
        <Text size="sm" c="dimmed" className="num" data-testid="workflow-progress">
          {t("workflow.done", { finished: count(data.finished), total: count(data.total + data.planned) })}
        </Text>
      }
    >
      <Stack gap="sm" data-testid="workflow">
        <StateBar states={data.states} total={data.total + data.planned} />
        <WorkflowGraph workflow={data} selected={runId} />
        {!data.complete && (
          <Text size="xs" c="dimmed">
            {t("workflow.incomplete")}
          </Text>
        )}
        <Blockers workflow={data} />
      </Stack>
    </Card>
  );
}

function Blockers({ workflow }: { workflow: Workflow }) {
  const { t } = useTranslation();
  if (workflow.blockers.length === 0) return null;
  const tasks = new Map(workflow.nodes.map((node) => [node.key, node.task || node.key]));
  return (
    <Stack gap={4} data-testid="blockers">
      {workflow.blockers.slice(0, MOST_BLOCKERS).map(({ run, waiting }) => (
        <Group key={`${run.id} ${waiting}`} gap={6} wrap="wrap">
          <StateBadge state={run.state} evidence={run.evidence} size="xs" />
          <RunLink run={run} />
          <Text size="sm" c="dimmed">
            {t("workflow.blocks", { task: tasks.get(waiting) })}
          </Text>
          {run.started_at && !run.finished_at && (
            <Text size="sm" c="dimmed">
              <Ago at={run.started_at} />
            </Text>
          )}
        </Group>
      ))}
      {workflow.blockers.length > MOST_BLOCKERS && (
        <Text size="xs" c="dimmed">
          {t("workflow.moreBlockers", { count: workflow.blockers.length - MOST_BLOCKERS })}
        </Text>
      )}
    </Stack>
  );
}

function RunLink({ run }: { run: WorkflowMember }) {
  return (
    <Link to="/runs/$runId" params={{ runId: run.id }} title={run.id}>
      <Text size="sm" fw={500} component="span">
        {run.task}
      </Text>{" "}
      <span className="mono">{run.id.slice(0, 12)}</span>
    </Link>
  );
}
