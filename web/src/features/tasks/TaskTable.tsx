import { Group, Table, Text, UnstyledButton } from "@mantine/core";
import { IconArrowDown, IconArrowUp } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { Task } from "../../api/queries";
import { count, percent, seconds } from "../../ui/format";
import { Ago } from "../../ui/time";
import { COLUMNS, periodOf, type Column, type Window } from "./order";

export interface TaskTableProps {
  tasks: Task[];
  by: Column;
  up: boolean;
  /** The period that links to runs carry, so that they show the runs behind the figures. */
  period: Window;
  onSort: (column: Column) => void;
}

/** Task types, one a row; the name leads to the task's page, the numbers of runs and failures to the runs. */
export function TaskTable({ tasks, by, up, period, onSort }: TaskTableProps) {
  const { t } = useTranslation();
  return (
    <Table.ScrollContainer minWidth={990}>
      <Table verticalSpacing={6} highlightOnHover layout="fixed" data-testid="task-table">
        <Table.Thead>
          <Table.Tr>
            {COLUMNS.map((column) => (
              <Heading key={column} column={column} direction={column === by ? (up ? "ascending" : "descending") : "none"} onSort={onSort} />
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {tasks.map((task) => {
            const search = { task: [task.task], ...(task.service ? { service: [task.service] } : {}), period: periodOf(period) };
            return (
              <Table.Tr key={`${task.service}/${task.task}`} data-task={task.task}>
                <Table.Td>
                  <Link to="/tasks/one" search={{ task: task.task, ...(task.service ? { service: task.service } : {}), window: period }}>
                    <Text size="sm" fw={500} truncate title={task.task}>
                      {task.task || t("tasks.unnamed")}
                    </Text>
                  </Link>
                  <Text size="xs" c="dimmed" truncate>
                    {[task.service, task.queue].filter(Boolean).join(" · ")}
                  </Text>
                </Table.Td>
                <Figure>
                  <Link to="/runs" search={search}>
                    {count(task.runs)}
                  </Link>
                </Figure>
                <Figure>
                  {task.failed > 0 ? (
                    <Link to="/runs" search={{ ...search, state: ["failed", "rejected", "lost", "dead"] }}>
                      <Text size="sm" component="span" c="red" fw={600}>
                        {percent(task.failure_ratio)}
                      </Text>
                    </Link>
                  ) : (
                    percent(task.failure_ratio)
                  )}
                </Figure>
                <Figure>{seconds(task.p50_s)}</Figure>
                <Figure>{seconds(task.p95_s)}</Figure>
                <Figure>{seconds(task.p99_s)}</Figure>
                <Figure>{seconds(task.wait_p95_s)}</Figure>
                <Figure>{count(task.active)}</Figure>
                <Table.Td ta="right">
                  <Text size="sm" c="dimmed" component="span">
                    <Ago at={task.last_run_at} />
                  </Text>
                </Table.Td>
              </Table.Tr>
            );
          })}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

const WIDTH: Partial<Record<Column, number>> = { runs: 84, failure_ratio: 92, wait_p95_s: 104, active: 90, last_run_at: 128 };

function Heading({ column, direction, onSort }: { column: Column; direction: "ascending" | "descending" | "none"; onSort: (column: Column) => void }) {
  const { t } = useTranslation();
  const name = column === "task";
  return (
    <Table.Th w={name ? undefined : (WIDTH[column] ?? 92)} ta={name ? "left" : "right"} aria-sort={direction}>
      <UnstyledButton onClick={() => onSort(column)} fz="sm" fw={direction === "none" ? 600 : 800}>
        <Group gap={2} wrap="nowrap" justify={name ? "flex-start" : "flex-end"}>
          {t(`tasks.${column}`)}
          {direction === "ascending" && <IconArrowUp size={13} aria-hidden />}
          {direction === "descending" && <IconArrowDown size={13} aria-hidden />}
        </Group>
      </UnstyledButton>
    </Table.Th>
  );
}

function Figure({ children }: { children: ReactNode }) {
  return (
    <Table.Td ta="right" className="num">
      {children}
    </Table.Td>
  );
}
