import { Table, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { useSignal, type SignalQuery, type SignalReading } from "../../api/queries";
import { DataTable, Figure } from "../../ui/DataTable";
import { count, percent, seconds } from "../../ui/format";

/** Named operations: how often, how often well, how long. Nothing where there are none. */
export function OperationTable({ query }: { query: SignalQuery }) {
  const { t } = useTranslation();
  const rates = useSignal("operations_per_minute", query);
  const ratios = useSignal("operation_success_ratio", query);
  const durations = useSignal("operation_duration_p95", query);
  const rows = rates.data?.now ?? [];
  if (rows.length === 0) return null;
  return (
    <DataTable
      name="operation-table"
      minWidth={320}
      spacing={5}
      fixed={false}
      highlight={false}
      columns={[
        { key: "operation", title: t("funnel.operation") },
        { key: "rate", title: t("funnel.perMinute"), right: true },
        { key: "success", title: t("funnel.success"), right: true },
        { key: "p95", title: "P95", right: true },
      ]}
    >
      {rows.map(({ labels, value }) => {
        const ratio = of(ratios.data, labels);
        return (
          <Table.Tr key={Object.values(labels).join(" ")} data-operation={labels.operation}>
            <Table.Td>
              <Text size="sm" fw={500} component="span">
                {labels.operation}
              </Text>{" "}
              <Text size="xs" c="dimmed" component="span">
                {labels.service}
              </Text>
            </Table.Td>
            <Figure>{count(value)}</Figure>
            <Figure>
              <Text size="sm" component="span" c={ratio !== null && ratio < 0.95 ? "red" : undefined} fw={ratio !== null && ratio < 0.95 ? 600 : undefined}>
                {percent(ratio)}
              </Text>
            </Figure>
            <Figure>{seconds(of(durations.data, labels))}</Figure>
          </Table.Tr>
        );
      })}
    </DataTable>
  );
}

function of(reading: Pick<SignalReading, "now"> | undefined, labels: Record<string, string>): number | null {
  return reading?.now.find((each) => each.labels.service === labels.service && each.labels.operation === labels.operation)?.value ?? null;
}
