import { Progress, Table, Text } from "@mantine/core";
import { Link, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Run } from "../../api/queries";
import { DataTable, Figure } from "../../ui/DataTable";
import { seconds, share, shortType } from "../../ui/format";
import { useNarrow } from "../../ui/narrow";
import { Name } from "../../ui/Name";
import { reasonText } from "../../ui/reason";
import { StateBadge } from "../../ui/StateBadge";
import { Ago, Elapsed } from "../../ui/time";

/** States of which somebody asks why. */
const BAD: ReadonlySet<string> = new Set(["failed", "rejected", "lost", "dead"]);

/** Runs, one a row. `compact` leaves out what the first screen has no room for; on a phone no row has to be scrolled to be read. */
export function RunTable({ runs, compact = false }: { runs: Run[]; compact?: boolean }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const narrow = useNarrow();
  const full = !compact && !narrow;
  return (
    <DataTable
      name="run-table"
      minWidth={narrow ? 0 : compact ? 520 : 760}
      columns={[
        { key: "state", title: t("run.state"), width: narrow ? 88 : 108 },
        { key: "task", title: t("run.task") },
        full && { key: "service", title: t("run.service"), width: 96 },
        full && { key: "queue", title: t("run.queue"), width: 104 },
        !narrow && { key: "duration", title: t("run.duration"), width: 96, right: true },
        full && { key: "attempts", title: t("run.attempts"), width: 92, right: true },
        { key: "when", title: t("run.when"), width: narrow ? 84 : 112, right: true },
      ]}
    >
      {runs.map((run) => (
        <Table.Tr
          key={run.id}
          className="row-link"
          data-run={run.id}
          onClick={() => void navigate({ to: "/runs/$runId", params: { runId: run.id } })}
        >
          <Table.Td>
            <StateBadge state={run.stuck ? "stuck" : run.state} evidence={run.evidence} />
          </Table.Td>
          <Table.Td>
            <Link to="/runs/$runId" params={{ runId: run.id }} onClick={(event) => event.stopPropagation()}>
              <Text size="sm" fw={500} {...(narrow ? { style: { overflowWrap: "anywhere" } } : { truncate: true })}>
                <Name of={run.task || run.id} />
              </Text>
            </Link>
            {narrow && !compact && (
              <Text size="xs" c="dimmed" truncate>
                {[run.service, run.queue].filter(Boolean).join(" · ")}
              </Text>
            )}
            {run.state === "started" && run.progress?.total ? (
              <Progress
                size={4}
                mt={4}
                value={share(run.progress)}
                aria-label={t("run.progress")}
                title={`${run.progress.done ?? 0} / ${run.progress.total} ${run.progress.note}`}
                data-testid="run-progress"
              />
            ) : null}
            {!run.exception && run.reason && BAD.has(run.state) && (
              <Text size="xs" c="red" truncate title={reasonText(t, run)}>
                {reasonText(t, run)}
              </Text>
            )}
            {run.exception && (
              <Text size="xs" c="red" truncate title={run.exception.message}>
                <span>{shortType(run.exception.type)}</span>: <span>{run.exception.message}</span>
              </Text>
            )}
          </Table.Td>
          {full && (
            <Table.Td>
              <Text size="sm" c="dimmed" truncate>
                {run.service}
              </Text>
            </Table.Td>
          )}
          {full && (
            <Table.Td>
              <Text size="sm" c="dimmed" truncate>
                {run.queue || "–"}
              </Text>
            </Table.Td>
          )}
          {!narrow && <Figure><Took run={run} /></Figure>}
          {full && <Figure>{run.attempt_count}</Figure>}
          <Table.Td ta="right">
            <Text size="sm" c="dimmed" component="span">
              <Ago at={run.started_at ?? run.enqueued_at ?? run.updated_at} />
            </Text>
            {narrow && (
              <Text size="xs" className="num">
                <Took run={run} />
              </Text>
            )}
          </Table.Td>
        </Table.Tr>
      ))}
    </DataTable>
  );
}

/** How long it took, or has taken so far. */
function Took({ run }: { run: Run }) {
  return run.state === "started" ? <Elapsed since={run.started_at} /> : <>{seconds(run.duration_s)}</>;
}
