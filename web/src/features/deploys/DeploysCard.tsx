import { Group, Stack, Table, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { useDeployEffect, useDeploys, type Deploy } from "../../api/queries";
import { Card } from "../../ui/Card";
import { DataTable, Figure, percentiles } from "../../ui/DataTable";
import { count, percent, seconds } from "../../ui/format";
import { Clock } from "../../ui/time";

/** So many deploys are compared; each is a question to the server. */
const MOST = 3;

export interface DeploysCardProps {
  since: string;
  of: { service?: string; endpoint?: string; task?: string };
}

/** The latest deploys of a service, and how an endpoint, a task or all its requests did before and after each. Without any, nothing. */
export function DeploysCard({ since, of }: DeploysCardProps) {
  const { t } = useTranslation();
  const deploys = useDeploys(since, of.service);
  const shown = (deploys.data?.items ?? []).filter((deploy) => deploy.before || deploy.origin === "marked").slice(0, MOST);
  if (shown.length === 0) return null;
  return (
    <Card title={t("deploys.title")}>
      <Stack gap="md">
        {shown.map((deploy) => (
          <Effect key={deploy.id} deploy={deploy} of={of} />
        ))}
      </Stack>
    </Card>
  );
}

function Effect({ deploy, of }: { deploy: Deploy; of: DeploysCardProps["of"] }) {
  const { t } = useTranslation();
  const effect = useDeployEffect(deploy.id, of);
  const sides = effect.data ? ([["before", effect.data.before], ["after", effect.data.after]] as const) : [];
  return (
    <div data-deploy={deploy.version}>
      <Group gap="xs" mb={4}>
        <Text fw={600} size="sm" style={{ overflowWrap: "anywhere" }}>
          {deploy.before ? `${deploy.before} → ${deploy.version}` : deploy.version}
        </Text>
        <Text size="sm" c="dimmed">
          <Clock at={deploy.at} />
          {[deploy.by, deploy.note].filter(Boolean).map((text) => ` · ${text}`)}
        </Text>
      </Group>
      {sides.length > 0 && (
        <DataTable
          name="deploy-effect"
          minWidth={320}
          fixed={false}
          spacing={3}
          highlight={false}
          columns={[
            { key: "side", title: "" },
            { key: "count", title: t(of.task === undefined ? "deploys.requests" : "deploys.runs"), width: 110, right: true },
            ...percentiles(),
            { key: "bad", title: of.task === undefined ? "5xx" : t("deploys.failed"), width: 96, right: true },
          ]}
        >
          {sides.map(([name, side]) => (
            <Table.Tr key={name} data-side={name}>
              <Table.Td>
                <Text size="sm" c="dimmed">
                  {t(`deploys.${name}`)}
                </Text>
              </Table.Td>
              {[count(side.count), seconds(side.p50_s), seconds(side.p95_s), seconds(side.p99_s), percent(side.bad_ratio)].map((value, position) => (
                <Figure key={position}>{value}</Figure>
              ))}
            </Table.Tr>
          ))}
        </DataTable>
      )}
    </div>
  );
}
