import { Table, Text, Tooltip } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Queue } from "../../api/queries";
import { DataTable, Figure } from "../../ui/DataTable";
import { count, seconds } from "../../ui/format";
import { EmptyNote } from "../../ui/notes";
import { Ago } from "../../ui/time";

/**
 * Queues by depth. A depth that no broker could tell is said to be unknown, never zero.
 *
 * @param most Show only so many, without the time of the reading, where there is little room.
 */
export function QueueTable({ queues, most }: { queues: Queue[]; most?: number }) {
  const { t } = useTranslation();
  if (queues.length === 0) return <EmptyNote>{t("overview.noQueues")}</EmptyNote>;
  const sorted = [...queues].sort((a, b) => (b.depth ?? -1) - (a.depth ?? -1) || b.runs_per_minute - a.runs_per_minute);
  return (
    <DataTable
      name="queue-table"
      minWidth={most === undefined ? 620 : 420}
      spacing={5}
      fixed={false}
      highlight={false}
      columns={[
        { key: "queue", title: t("queue.name") },
        { key: "depth", title: t("queue.depth"), right: true },
        { key: "oldest", title: t("queue.oldest"), right: true },
        { key: "active", title: t("queue.active"), right: true, wide: true },
        { key: "rate", title: t("queue.rate"), right: true },
        most === undefined && { key: "held", title: t("queue.held"), right: true, wide: true },
        most === undefined && { key: "difference", title: t("queue.difference"), right: true, wide: true },
        most === undefined && { key: "read", title: t("queue.read"), right: true, wide: true },
      ]}
    >
      {sorted.slice(0, most).map((queue) => (
        <Table.Tr key={`${queue.service}/${queue.queue}`} data-queue={queue.queue}>
          <Table.Td>
            <Link to="/runs" search={{ service: [queue.service], ...(queue.queue ? { queue: [queue.queue] } : {}) }}>
              <Text size="sm" fw={500} component="span">
                {queue.queue || t("queue.unnamed")}
              </Text>
            </Link>{" "}
            <Text size="xs" c="dimmed" component="span">
              {queue.service}
            </Text>
          </Table.Td>
          <Figure>
            {queue.depth === null ? (
              <Tooltip label={t(queue.read_at ? "queue.stale" : "queue.unread")}>
                <Text size="xs" c="dimmed" component="span">
                  {t("queue.unknown")}
                </Text>
              </Tooltip>
            ) : (
              count(queue.depth)
            )}
          </Figure>
          <Figure>{seconds(queue.oldest_age_s)}</Figure>
          <Figure>{count(queue.active)}</Figure>
          <Figure>{count(queue.runs_per_minute)}</Figure>
          {most === undefined && (
            <Figure>{queue.held === null ? "–" : count(queue.held)}</Figure>
          )}
          {most === undefined && (
            <Figure><Difference queue={queue} /></Figure>
          )}
          {most === undefined && (
            <Table.Td ta="right">
              <Text size="sm" c="dimmed" component="span">
                <Ago at={queue.read_at} />
              </Text>
            </Table.Td>
          )}
        </Table.Tr>
      ))}
    </DataTable>
  );
}

/** Whether our books and the broker agree; absent when the broker was not heard, which is not the same as zero. */
function Difference({ queue }: { queue: Queue }) {
  const { t } = useTranslation();
  const sum = t("queue.sum", {
    enqueued: count(queue.enqueued),
    waiting: count(queue.waiting),
    active: count(queue.active),
    finished: count(queue.finished),
    dead: count(queue.dead),
  });
  const said = queue.difference === null ? "queue.differenceUnknown" : queue.difference > 0 ? "queue.missing" : queue.difference < 0 ? "queue.unannounced" : "queue.agrees";
  return (
    <Tooltip label={`${sum} ${t(said)}`} multiline maw={320}>
      <Text size="sm" component="span" c={queue.difference ? "orange" : "dimmed"} data-testid="difference">
        {queue.difference === null ? "–" : queue.difference > 0 ? `+${count(queue.difference)}` : count(queue.difference)}
      </Text>
    </Tooltip>
  );
}
