import { Table, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { HostResources } from "../../api/queries";
import { DataTable, Figure } from "../../ui/DataTable";
import { bytes, count, percent } from "../../ui/format";
import { last, sourcesOf } from "./hosts";

/** Hosts as they are now, and who says so. */
export function HostTable({ hosts }: { hosts: HostResources[] }) {
  const { t } = useTranslation();
  const known = hosts.filter((host) => sourcesOf(host).length > 0);
  if (known.length === 0) return null;
  return (
    <DataTable
      name="host-table"
      minWidth={720}
      spacing={5}
      fixed={false}
      highlight={false}
      columns={[
        { key: "host", title: t("resource.hostTable.host") },
        { key: "source", title: t("resource.hostTable.source"), wide: true },
        { key: "cpu", title: t("resource.measures.cpu"), right: true },
        { key: "memory", title: t("resource.measures.memory"), right: true },
        { key: "disk", title: t("resource.measures.disk"), right: true },
        { key: "load", title: t("resource.hostTable.load"), help: t("resource.hostTable.loadHelp"), right: true, wide: true },
        { key: "network", title: t("resource.hostTable.network"), wide: true, right: true },
      ]}
    >
      {known.map((host) => (
        <Table.Tr key={host.host} data-host={host.host}>
          <Table.Td>
            <Text size="sm" fw={500} style={{ overflowWrap: "anywhere" }}>
              {host.host}
            </Text>
          </Table.Td>
          <Table.Td>
            <Sources host={host} />
          </Table.Td>
          <Figure>{percent(last(host.cpu))}</Figure>
          <Figure>{percent(last(host.memory))}</Figure>
          <Figure>{host.node?.disk_mount ? t("resource.hostTable.ofDisk", { share: percent(last(host.disk)), mount: host.node.disk_mount }) : percent(last(host.disk))}</Figure>
          <Figure>
            {count(host.node?.load1)}
            {host.node && host.node.processors !== null && ` / ${host.node.processors}`}
          </Figure>
          <Figure>{bytes(host.node?.received_bytes_per_s)} / {bytes(host.node?.sent_bytes_per_s)}</Figure>
        </Table.Tr>
      ))}
    </DataTable>
  );
}

/** Who tells of a host; where not all is told by one, each with what it tells. */
function Sources({ host }: { host: HostResources }) {
  const { t } = useTranslation();
  return sourcesOf(host).map(({ source, measures }, _, all) => (
    <Text key={source} size="sm" title={t(`resource.hostTable.sourceHelp.${source}`, { instance: host.node?.instance })} data-source={source}>
      {source}
      {all.length > 1 && (
        <Text span size="xs" c="dimmed">
          {" "}
          {measures.map((measure) => t(`resource.measures.${measure}`)).join(", ")}
        </Text>
      )}
    </Text>
  ));
}
