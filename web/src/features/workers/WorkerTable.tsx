import { Group, Table, Text, Tooltip } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Worker } from "../../api/queries";
import { DataTable, Figure } from "../../ui/DataTable";
import { count, seconds } from "../../ui/format";
import { Name } from "../../ui/Name";
import { useNarrow } from "../../ui/narrow";
import { StateBadge } from "../../ui/StateBadge";
import { Ago } from "../../ui/time";

/** Workers, one a row; the name leads to its runs. */
export function WorkerTable({ workers }: { workers: Worker[] }) {
  const { t } = useTranslation();
  const narrow = useNarrow();
  return (
    <DataTable
      name="worker-table"
      minWidth={1080}
      columns={[
        { key: "state", title: t("worker.state"), width: 88, narrow: 72 },
        { key: "name", title: t("worker.name") },
        { key: "place", title: t("worker.place"), width: 116, wide: true },
        { key: "queues", title: t("worker.queues"), width: 140, wide: true },
        { key: "active", title: t("worker.active"), width: 84, narrow: 64, right: true },
        { key: "last", title: t("worker.last"), width: 108, narrow: 72, right: true },
        { key: "started", title: t("worker.started"), width: 138, right: true, wide: true },
        { key: "clock", title: t("worker.clock"), width: 148, right: true, wide: true },
        { key: "dropped", title: t("worker.dropped"), width: 90, right: true, wide: true },
      ]}
    >
      {workers.map((worker) => (
        <Table.Tr key={worker.worker} data-worker={worker.worker}>
          <Table.Td>
            <StateBadge state={worker.state} />
          </Table.Td>
          <Table.Td>
            <Link to="/runs" search={{ worker: [worker.worker] }} aria-label={t("worker.runs", { worker: worker.worker })}>
              <Text size="sm" fw={500} {...(narrow ? { style: { overflowWrap: "anywhere" } } : { truncate: true })} title={worker.worker}>
                <Name of={worker.worker} />
              </Text>
            </Link>
            <Text size="xs" c="dimmed" truncate>
              {[...new Set([worker.service, worker.framework, ...(narrow ? worker.queues : [])])].filter(Boolean).join(" · ")}
            </Text>
            {narrow && (worker.clock_skew_s || worker.dropped > 0) ? (
              <Group gap="xs">
                {worker.clock_skew_s ? <Skew skew_s={worker.clock_skew_s} /> : null}
                {worker.dropped > 0 && (
                  <Text size="xs" component="span">
                    {t("worker.dropped")} <Dropped events={worker.dropped} />
                  </Text>
                )}
              </Group>
            ) : null}
          </Table.Td>
          <Table.Td>
            <Text size="sm" truncate title={worker.host}>
              {worker.host || "–"}
            </Text>
            {worker.pid > 0 && (
              <Text size="xs" c="dimmed" className="num">
                pid {worker.pid}
              </Text>
            )}
          </Table.Td>
          <Table.Td>
            <Text size="sm" c="dimmed" lineClamp={2} title={worker.queues.join(", ")} style={{ overflowWrap: "anywhere" }}>
              {worker.queues.join(", ") || "–"}
            </Text>
          </Table.Td>
          <Figure>{count(worker.active)}</Figure>
          <Table.Td ta="right">
            <Text size="sm" component="span" c={worker.state === "down" ? "red" : worker.state === "wedged" ? "orange" : "dimmed"}>
              <Ago at={worker.last_seen_at} />
            </Text>
          </Table.Td>
          <Table.Td ta="right">
            <Text size="sm" component="span" c="dimmed">
              <Ago at={worker.started_at} />
            </Text>
          </Table.Td>
          <Table.Td ta="right">
            <Skew skew_s={worker.clock_skew_s} />
          </Table.Td>
          <Table.Td ta="right">
            <Dropped events={worker.dropped} />
          </Table.Td>
        </Table.Tr>
      ))}
    </DataTable>
  );
}

/** How far a clock is off; nothing to say of one that is right or was not compared. */
function Skew({ skew_s }: { skew_s: number | null }) {
  const { t } = useTranslation();
  if (!skew_s) return <>–</>;
  return (
    <Tooltip label={t("worker.clockHelp")} multiline maw={280}>
      <Text size="sm" component="span" c="orange" className="num" data-testid="clock-skew">
        {t(skew_s > 0 ? "worker.ahead" : "worker.behind", { skew: seconds(Math.abs(skew_s)) })}
      </Text>
    </Tooltip>
  );
}

function Dropped({ events }: { events: number }) {
  const { t } = useTranslation();
  if (events === 0) return <span className="num">0</span>;
  return (
    <Tooltip label={t("worker.droppedHelp")} multiline maw={280}>
      <Text size="sm" component="span" c="red" fw={600} className="num" data-testid="dropped">
        {count(events)}
      </Text>
    </Tooltip>
  );
}
