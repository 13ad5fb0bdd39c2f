import { Box, Group, Table, Text, UnstyledButton } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { DependencyPart } from "../../api/queries";
import { DataTable, Figure, percentiles } from "../../ui/DataTable";
import { percent, rate, seconds } from "../../ui/format";
import { useNarrow } from "../../ui/narrow";
import { partKey, partName } from "./words";

const MOST = 30;

/** Calls by operation and table, command, or method and status; those that took most time first. One can be chosen for the charts. */
export function PartTable({ parts, chosen, onChoose }: { parts: DependencyPart[]; chosen: string | undefined; onChoose: (part: string | undefined) => void }) {
  const { t } = useTranslation();
  const narrow = useNarrow();
  return (
    <>
      <DataTable
        name="part-table"
        minWidth={720}
        spacing={4}
        highlight={false}
        columns={[
          { key: "part", title: t("dependency.part") },
          { key: "share", title: t("dependency.share"), width: 170, wide: true },
          { key: "rate", title: t("dependency.rate"), width: 92, narrow: 72, right: true },
          { key: "errors", title: t("dependency.errors"), width: 84, narrow: 64, right: true },
          ...percentiles(),
        ]}
      >
        {parts.slice(0, MOST).map((part) => {
          const key = partKey(part.labels);
          return (
            <Table.Tr key={key} data-part={key} bg={key === chosen ? "var(--mantine-primary-color-light)" : undefined}>
              <Table.Td>
                <UnstyledButton onClick={() => onChoose(key === chosen ? undefined : key)} aria-pressed={key === chosen} style={{ maxWidth: "100%" }}>
                  <Text size="sm" fw={500} className="mono" {...(narrow ? { style: { overflowWrap: "anywhere" } } : { truncate: true })} title={partName(part.labels, t)}>
                    {partName(part.labels, t)}
                  </Text>
                </UnstyledButton>
              </Table.Td>
              <Table.Td>
                <Group gap={8} wrap="nowrap">
                  <Box w={90} h={8} bg="var(--mantine-color-default-border)" style={{ borderRadius: 4, overflow: "hidden", flexShrink: 0 }} aria-hidden>
                    <Box h="100%" w={`${100 * part.share}%`} bg="var(--mantine-primary-color-filled)" />
                  </Box>
                  <Text size="xs" className="num" style={{ whiteSpace: "nowrap" }}>
                    {percent(part.share)}
                  </Text>
                </Group>
              </Table.Td>
              <Figure>{rate(part.calls_per_s)}</Figure>
              <Figure>
                <Text size="sm" component="span" c={part.errors > 0 ? "red" : undefined} fw={part.errors > 0 ? 600 : undefined}>
                  {percent(part.error_ratio)}
                </Text>
              </Figure>
              <Figure>{seconds(part.p50_s)}</Figure>
              <Figure>{seconds(part.p95_s)}</Figure>
              <Figure>{seconds(part.p99_s)}</Figure>
            </Table.Tr>
          );
        })}
      </DataTable>
      {parts.length > MOST && (
        <Text size="xs" c="dimmed" mt={4}>
          {t("dependency.moreParts", { count: parts.length - MOST })}
        </Text>
      )}
    </>
  );
}
