import { Group, Table, UnstyledButton } from "@mantine/core";
import { IconArrowDown, IconArrowUp } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { useNarrow } from "./narrow";

export interface Column<Key extends string = string> {
  key: Key;
  title: ReactNode;
  /** What the title leaves open, shown when one points at it. */
  help?: string;
  /** Pixels; columns without a width share what is left. */
  width?: number | undefined;
  /** Right-aligned: figures, times. */
  right?: boolean | undefined;
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
  /** Narrower than this the table scrolls by itself, pixels. */
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
  return (
    <Table.ScrollContainer minWidth={minWidth} type="native">
      <Table verticalSpacing={spacing} horizontalSpacing={narrow ? 6 : undefined} highlightOnHover={highlight} layout={fixed ? "fixed" : "auto"} data-testid={name}>
        <Table.Thead>
          <Table.Tr>
            {columns.map((column) =>
              column === false ? null : order ? (
                <Sortable key={column.key} column={column} order={order} />
              ) : (
                <Table.Th key={column.key} w={column.width} ta={column.right ? "right" : undefined} title={column.help}>
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

function Sortable<Key extends string>({ column, order }: { column: Column<Key>; order: Order<Key> }) {
  const chosen = column.key === order.by;
  return (
    <Table.Th w={column.width} ta={column.right ? "right" : "left"} aria-sort={chosen ? (order.up ? "ascending" : "descending") : "none"}>
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

/** Columns of percentiles. */
export function percentiles(width = 84): Column[] {
  return ["P50", "P95", "P99"].map((name) => ({ key: name, title: name, width, right: true }));
}
