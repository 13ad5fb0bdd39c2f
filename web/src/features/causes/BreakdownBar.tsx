import { Box, Group, Table, Text, Tooltip } from "@mantine/core";
import type { TFunction } from "i18next";
import { useTranslation } from "react-i18next";
import { DataTable } from "../../ui/DataTable";
import { percent, seconds } from "../../ui/format";
import { coloured, folded, type Slice } from "./breakdown";

const MOST = 6;

export interface BreakdownBarProps {
  slices: readonly Slice[];
  /** Seconds that the whole width stands for; the sum of the slices when absent. */
  scale_s?: number;
  /** Colours by key, when several bars share them. */
  colours?: Map<string, string>;
  height?: number;
}

/** Where the time of one request or run went, as one bar. The text alternative says the same. */
export function BreakdownBar({ slices, scale_s, colours, height = 18 }: BreakdownBarProps) {
  const { t } = useTranslation();
  const sum = slices.reduce((total, slice) => total + slice.covered_s, 0);
  const whole = Math.max(scale_s ?? sum, 1e-9);
  const shown = folded(slices, MOST);
  const paint = colours ?? coloured(shown);
  const told = shown.map((slice) => `${partName(slice, t)} ${seconds(slice.covered_s)}`).join(", ");
  return (
    <Box role="img" aria-label={told} className="breakdown-bar" style={{ height }} data-testid="breakdown-bar">
      {shown.map((slice) => (
        <Tooltip key={slice.key} label={`${partName(slice, t)} · ${seconds(slice.covered_s)} · ${percent(slice.covered_s / Math.max(sum, 1e-9))}`}>
          <Box data-part={slice.key} style={{ width: `${(100 * slice.covered_s) / whole}%`, background: paint.get(slice.key) ?? "#adb5bd" }} />
        </Tooltip>
      ))}
    </Box>
  );
}

/** What the colours of bars mean. */
export function BreakdownLegend({ slices, colours }: { slices: readonly Slice[]; colours: Map<string, string> }) {
  const { t } = useTranslation();
  return (
    <Group gap="sm" mt={6}>
      {slices.map((slice) => (
        <Text key={slice.key} size="xs" c="dimmed">
          <span style={{ color: colours.get(slice.key) ?? "#adb5bd" }} aria-hidden>
            ●
          </span>{" "}
          {partName(slice, t)}
        </Text>
      ))}
    </Group>
  );
}

const ON_PHONES: ReadonlySet<string> = new Set(["share", "covered", "calls"]);

/** The parts as a table: what one bar shows, in figures. */
export function BreakdownTable({ slices }: { slices: readonly Slice[] }) {
  const { t } = useTranslation();
  const sum = slices.reduce((total, slice) => total + slice.covered_s, 0);
  const colours = coloured(folded(slices, MOST));
  return (
    <DataTable
      name="breakdown-table"
      minWidth={760}
      spacing={3}
      highlight={false}
      columns={[
        { key: "part", title: t("breakdown.part") },
        ...(["share", "covered", "calls", "all", "longest", "errors"] as const).map((key) => ({
          key,
          title: t(`breakdown.${key}`),
          help: key === "covered" || key === "all" ? t(`breakdown.${key}Help`) : undefined,
          width: 92,
          narrow: 68,
          right: true,
          wide: !ON_PHONES.has(key),
        })),
      ]}
    >
      {slices.map((slice) => (
        <Table.Tr key={slice.key} data-part={slice.key}>
          <Table.Td>
            <Text size="sm" style={{ overflowWrap: "anywhere" }}>
              <span style={{ color: colours.get(slice.key) ?? "#adb5bd" }} aria-hidden>
                ●
              </span>{" "}
              {partName(slice, t)}
            </Text>
          </Table.Td>
          <Table.Td ta="right" className="num">
            {percent(sum > 0 ? slice.covered_s / sum : null)}
          </Table.Td>
          <Table.Td ta="right" className="num">
            {seconds(slice.covered_s)}
          </Table.Td>
          <Table.Td ta="right" className="num">
            {slice.calls ?? "–"}
          </Table.Td>
          <Table.Td ta="right" className="num">
            {seconds(slice.total_s)}
          </Table.Td>
          <Table.Td ta="right" className="num">
            {seconds(slice.max_s)}
          </Table.Td>
          <Table.Td ta="right" className="num">
            {slice.errors > 0 ? (
              <Text span size="sm" c="red" fw={600}>
                {slice.errors}
              </Text>
            ) : (
              "–"
            )}
          </Table.Td>
        </Table.Tr>
      ))}
    </DataTable>
  );
}

/** "SELECT orders", "Redis GET", "own code": what a part is, in the reader's language. */
export function partName(slice: Pick<Slice, "component" | "operation" | "target">, t: TFunction): string {
  const { component, operation, target } = slice;
  if (component === "database" && operation) return [operation, target].filter(Boolean).join(" ");
  if (component === "event_loop" && target) return t("breakdown.heldBy", { holder: target });
  if (component === "pool" && target) return t("breakdown.connectionTo", { target });
  const name = t(`breakdown.components.${component}`, { defaultValue: component });
  return [name, component === "queue" || component === "pool" ? "" : operation, target].filter(Boolean).join(" ");
}
