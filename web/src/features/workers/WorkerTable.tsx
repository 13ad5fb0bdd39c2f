import { Table, Text, Tooltip } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Worker } from "../../api/queries";
import { count, seconds } from "../../ui/format";
import { StateBadge } from "../../ui/StateBadge";
import { Ago } from "../../ui/time";

/** Workers, one a row; the name leads to its runs. */
export function WorkerTable({ workers }: { workers: Worker[] }) {
  const { t } = useTranslation();
  return (
    <Table.ScrollContainer minWidth={1080}>
      <Table verticalSpacing={6} highlightOnHover layout="fixed" data-testid="worker-table">
        <Table.Thead>
          <Table.Tr>
            <Table.Th w={88}>{t("worker.state")}</Table.Th>
            <Table.Th>{t("worker.name")}</Table.Th>
            <Table.Th w={116}>{t("worker.place")}</Table.Th>
            <Table.Th w={140}>{t("worker.queues")}</Table.Th>
            <Table.Th w={84} ta="right">
              {t("worker.active")}
            </Table.Th>
            <Table.Th w={108} ta="right">
              {t("worker.last")}
            </Table.Th>
            <Table.Th w={138} ta="right">
              {t("worker.started")}
            </Table.Th>
            <Table.Th w={148} ta="right">
              {t("worker.clock")}
            </Table.Th>
            <Table.Th w={90} ta="right">
              {t("worker.dropped")}
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {workers.map((worker) => (
            <Table.Tr key={worker.worker} data-worker={worker.worker}>
              <Table.Td>
                <StateBadge state={worker.state} />
              </Table.Td>
              <Table.Td>
                <Link to="/runs" search={{ worker: [worker.worker] }} aria-label={t("worker.runs", { worker: worker.worker })}>
                  <Text size="sm" fw={500} truncate title={worker.worker}>
                    {worker.worker}
                  </Text>
                </Link>
                <Text size="xs" c="dimmed" truncate>
                  {[...new Set([worker.service, worker.framework])].filter(Boolean).join(" · ")}
                </Text>
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
              <Table.Td ta="right" className="num">
                {count(worker.active)}
              </Table.Td>
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
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
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
