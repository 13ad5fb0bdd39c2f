import { Table, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { HostResources } from "../../api/queries";
import { bytes, count, percent } from "../../ui/format";
import { last, sourcesOf } from "./hosts";

/** Hosts as they are now, and who says so. */
export function HostTable({ hosts }: { hosts: HostResources[] }) {
  const { t } = useTranslation();
  const known = hosts.filter((host) => sourcesOf(host).length > 0);
  if (known.length === 0) return null;
  return (
    <Table.ScrollContainer minWidth={720} mt="sm">
      <Table verticalSpacing={5} data-testid="host-table">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t("resource.hostTable.host")}</Table.Th>
            <Table.Th>{t("resource.hostTable.source")}</Table.Th>
            <Table.Th ta="right">{t("resource.measures.cpu")}</Table.Th>
            <Table.Th ta="right">{t("resource.measures.memory")}</Table.Th>
            <Table.Th ta="right">{t("resource.measures.disk")}</Table.Th>
            <Table.Th ta="right" title={t("resource.hostTable.loadHelp")}>
              {t("resource.hostTable.load")}
            </Table.Th>
            <Table.Th ta="right">{t("resource.hostTable.network")}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
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
              <Table.Td ta="right" className="num">
                {percent(last(host.cpu))}
              </Table.Td>
              <Table.Td ta="right" className="num">
                {percent(last(host.memory))}
              </Table.Td>
              <Table.Td ta="right" className="num">
                {host.node?.disk_mount ? t("resource.hostTable.ofDisk", { share: percent(last(host.disk)), mount: host.node.disk_mount }) : percent(last(host.disk))}
              </Table.Td>
              <Table.Td ta="right" className="num">
                {count(host.node?.load1)}
                {host.node && host.node.processors !== null && ` / ${host.node.processors}`}
              </Table.Td>
              <Table.Td ta="right" className="num">
                {bytes(host.node?.received_bytes_per_s)} / {bytes(host.node?.sent_bytes_per_s)}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
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
