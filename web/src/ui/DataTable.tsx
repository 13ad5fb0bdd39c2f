import { Group, Table, UnstyledButton } from "@mantine/core";
import { IconArrowDown, IconArrowUp } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { useNarrow } from "./narrow";

export interface Column<Key extends string = string> {
  key: Key;
  title: ReactNode;
  /** What the title leaves open, shown when one points at it. */
  help?: string | undefined;
  /** Pixels; columns without a width share what is left. */
  width?: number | undefined;
  /** Pixels on a phone, where they differ. */
  narrow?: number | undefined;
  /** Right-aligned: figures, times. */
  right?: boolean | undefined;
  /** Left out on a phone, where nobody should have to scroll sideways for what matters. */
  wide?: boolean | undefined;
}

/** By which column rows are ordered, and what a click on a heading does. */
export interface Order<Key extends string> {
  by: Key;
  up: boolean;
  onSort: (column: Key) => void;
}

export interface DataTableProps<Key extends string> {
  /** From left to right; what is false is left out. */
  columns: readonly (Column<Key> | false)[];
  /** Narrower than this the table scrolls by itself, pixels; not on a phone when columns are left out there. */
  minWidth: number;
  /** Its name for tests. */
  name: string;
  order?: Order<Key>;
  spacing?: number;
  /** Columns keep their widths whatever is in them; without it they fit their content. */
  fixed?: boolean;
  /** The row that is pointed at stands out. */
  highlight?: boolean;
  children: ReactNode;
}

/** A table with headings, the same for every list of the page. */
export function DataTable<Key extends string>({ columns, minWidth, name, order, spacing = 6, fixed = true, highlight = true, children }: DataTableProps<Key>) {
  const narrow = useNarrow();
  const shown = columns.filter((column) => column !== false);
  // Rows bring all their cells; the style sheet takes those away whose columns are left out.
  const without = narrow ? shown.flatMap((column, at) => (column.wide ? [at + 1] : [])) : [];
  return (
    <Table.ScrollContainer minWidth={without.length > 0 ? 0 : minWidth} type="native">
      <Table verticalSpacing={spacing} horizontalSpacing={narrow ? 6 : undefined} highlightOnHover={highlight} layout={fixed ? "fixed" : "auto"} data-testid={name} data-without={without.join(" ") || undefined}>
        <Table.Thead>
          <Table.Tr>
            {shown.map((column) =>
              order ? (
                <Sortable key={column.key} column={column} order={order} width={narrow ? (column.narrow ?? column.width) : column.width} />
              ) : (
                <Table.Th key={column.key} w={narrow ? (column.narrow ?? column.width) : column.width} ta={column.right ? "right" : undefined} title={column.help}>
                  {column.title}
                </Table.Th>
              ),
            )}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>{children}</Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Sortable<Key extends string>({ column, order, width }: { column: Column<Key>; order: Order<Key>; width: number | undefined }) {
  const chosen = column.key === order.by;
  return (
    <Table.Th w={width} ta={column.right ? "right" : "left"} aria-sort={chosen ? (order.up ? "ascending" : "descending") : "none"}>
      <UnstyledButton onClick={() => order.onSort(column.key)} fz="sm" fw={chosen ? 800 : 600}>
        <Group gap={2} wrap="nowrap" justify={column.right ? "flex-end" : "flex-start"}>
          {column.title}
          {chosen && (order.up ? <IconArrowUp size={13} aria-hidden /> : <IconArrowDown size={13} aria-hidden />)}
        </Group>
      </UnstyledButton>
    </Table.Th>
  );
}

/** One figure; `title` says more of it, or why it is not there. */
export function Figure({ children, title }: { children: ReactNode; title?: string | undefined }) {
  return (
    <Table.Td ta="right" className="num" title={title}>
      {children}
    </Table.Td>
  );
}

/** Columns of percentiles; a phone has room for the last one. */
export function percentiles(width = 84): Column[] {
  return ["P50", "P95", "P99"].map((name) => ({ key: name, title: name, width, narrow: 72, right: true, wide: name !== "P99" }));
}
