import { Box, Group, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import type { Workflow, WorkflowNode } from "../../api/queries";
import { count, seconds } from "../../ui/format";
import { StateBadge } from "../../ui/StateBadge";
import { BOX, curve, layout } from "./layout";
import { StateBar } from "./StateBar";

/** Runs that belong together, from left to right; solid lines mean "then", dotted ones "started". */
export function WorkflowGraph({ workflow, selected }: { workflow: Workflow; selected: string }) {
  const { t } = useTranslation();
  const drawn = useMemo(() => layout(workflow.nodes, workflow.edges), [workflow.nodes, workflow.edges]);
  const places = new Map(drawn.places.map((place) => [place.node.key, place]));
  return (
    <Box style={{ overflow: "auto", maxHeight: 520 }} role="group" aria-label={t("workflow.graph")} data-testid="workflow-graph" tabIndex={0}>
      <Box pos="relative" w={drawn.width} h={drawn.height} my={4}>
        <svg width={drawn.width} height={drawn.height} style={{ position: "absolute", inset: 0 }} aria-hidden>
          <defs>
            <marker id="workflow-arrow" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">
              <path d="M 0 0 L 8 4 L 0 8 z" fill="var(--mantine-color-dimmed)" />
            </marker>
          </defs>
          {workflow.edges.map((edge) => {
            const from = places.get(edge.source);
            const to = places.get(edge.target);
            if (!from || !to) return null;
            return (
              <path
                key={`${edge.source} ${edge.target}`}
                d={curve(from, to)}
                fill="none"
                stroke="var(--mantine-color-dimmed)"
                strokeWidth={1.4}
                strokeDasharray={edge.kind === "started" ? "2 4" : undefined}
                markerEnd="url(#workflow-arrow)"
                data-edge={edge.kind}
              />
            );
          })}
        </svg>
        {drawn.places.map(({ node, x, y }) => (
          <NodeBox key={node.key} node={node} x={x} y={y} selected={node.members.some((member) => member.id === selected) || node.key === selected} />
        ))}
      </Box>
    </Box>
  );
}

function NodeBox({ node, x, y, selected }: { node: WorkflowNode; x: number; y: number; selected: boolean }) {
  const { t } = useTranslation();
  const first = node.members[0];
  return (
    <Box
      className={`workflow-node${node.kind === "planned" ? " planned" : ""}${selected ? " selected" : ""}`}
      style={{ left: x, top: y, width: BOX.width, height: BOX.height }}
      data-node={node.kind}
    >
      <Group gap={6} wrap="nowrap" justify="space-between">
        {first && node.kind === "run" ? (
          <Link to="/runs/$runId" params={{ runId: first.id }} style={{ minWidth: 0 }}>
            <Text size="sm" fw={600} truncate title={node.task}>
              {node.task || first.id}
            </Text>
          </Link>
        ) : (
          <Text size="sm" fw={600} truncate title={node.task} c={node.kind === "planned" ? "dimmed" : undefined}>
            {node.task || node.key}
          </Text>
        )}
        {node.kind === "group" && (
          <Text size="sm" fw={600} className="num" style={{ flexShrink: 0 }}>
            × {count(node.total)}
          </Text>
        )}
      </Group>
      {node.kind === "planned" ? (
        <Text size="xs" c="dimmed">
          {t("workflow.planned")}
        </Text>
      ) : node.kind === "group" ? (
        <>
          <StateBar states={node.states} total={node.total} />
          <Text size="xs" c="dimmed" className="num">
            {t("workflow.done", { finished: count(node.finished), total: count(node.total) })}
          </Text>
        </>
      ) : (
        first && (
          <Group gap={6} wrap="nowrap">
            <StateBadge state={first.state} evidence={first.evidence} size="xs" />
            <Text size="xs" c="dimmed" className="num">
              {seconds(first.duration_s)}
            </Text>
          </Group>
        )
      )}
    </Box>
  );
}
