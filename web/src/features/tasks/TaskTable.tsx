import { Table, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Task } from "../../api/queries";
import { DataTable, Figure } from "../../ui/DataTable";
import { count, percent, seconds } from "../../ui/format";
import { Name } from "../../ui/Name";
import { useNarrow } from "../../ui/narrow";
import { Ago } from "../../ui/time";
import { COLUMNS, periodOf, type Column, type Window } from "./order";

const WIDTH: Partial<Record<Column, number>> = { runs: 84, failure_ratio: 92, wait_p95_s: 104, active: 90, last_run_at: 128 };

/** How often, how badly, how slowly. */
const ON_PHONES: ReadonlySet<Column> = new Set(["task", "runs", "failure_ratio", "p95_s"]);

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
  const narrow = useNarrow();
  return (
    <DataTable
      name="task-table"
      minWidth={990}
      order={{ by, up, onSort }}
      columns={COLUMNS.map((key) => ({
        key,
        title: t(`tasks.${key}`),
        right: key !== "task",
        width: key === "task" ? undefined : (WIDTH[key] ?? 92),
        narrow: key === "task" ? undefined : 72,
        wide: !ON_PHONES.has(key),
      }))}
    >
      {tasks.map((task) => {
        const search = { task: [task.task], ...(task.service ? { service: [task.service] } : {}), period: periodOf(period) };
        return (
          <Table.Tr key={`${task.service}/${task.task}`} data-task={task.task}>
            <Table.Td>
              <Link to="/tasks/one" search={{ task: task.task, ...(task.service ? { service: task.service } : {}), window: period }}>
                <Text size="sm" fw={500} {...(narrow ? { style: { overflowWrap: "anywhere" } } : { truncate: true })} title={task.task}>
                  {task.task ? <Name of={task.task} /> : t("tasks.unnamed")}
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
    </DataTable>
  );
}
