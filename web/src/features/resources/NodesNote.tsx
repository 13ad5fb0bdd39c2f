import { Alert, Text } from "@mantine/core";
import { IconPlugConnectedX } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import type { HostResources, NodeExporters } from "../../api/queries";

/** Why hosts are described by their processes although a Prometheus is named; nothing where their node exporters speak. */
export function NodesNote({ nodes, hosts }: { nodes: NodeExporters; hosts: HostResources[] }) {
  const { t } = useTranslation();
  if (nodes.state === "failing") {
    return (
      <Alert color="yellow" variant="light" icon={<IconPlugConnectedX size={18} />} mt="sm" data-testid="nodes-note">
        <Text size="sm">{t("resource.nodes.failing", { url: nodes.url })}</Text>
        <Text size="xs" c="dimmed" style={{ overflowWrap: "anywhere" }}>
          {nodes.problem}
        </Text>
      </Alert>
    );
  }
  if (nodes.state === "answers" && hosts.some((host) => host.node !== null)) return null;
  const said =
    nodes.state === "waiting"
      ? t("resource.nodes.waiting", { url: nodes.url })
      : nodes.known === 0
        ? t("resource.nodes.unknown", { url: nodes.url })
        : t("resource.nodes.foreign", { url: nodes.url, count: nodes.known });
  return (
    <Text size="xs" c="dimmed" mt="xs" data-testid="nodes-note">
      {said}
    </Text>
  );
}
