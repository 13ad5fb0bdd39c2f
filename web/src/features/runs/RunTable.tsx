import { Progress, Table, Text } from "@mantine/core";
import { Link, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Run } from "../../api/queries";
import { seconds, share, shortType } from "../../ui/format";
import { StateBadge } from "../../ui/StateBadge";
import { Ago } from "../../ui/time";

/** Runs, one a row. `compact` leaves out what the first screen has no room for. */
export function RunTable({ runs, compact = false }: { runs: Run[]; compact?: boolean }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  return (
    <Table.ScrollContainer minWidth={compact ? 520 : 760}>
      <Table verticalSpacing={6} highlightOnHover data-testid="run-table" layout="fixed">
        <Table.Thead>
          <Table.Tr>
            <Table.Th w={108}>{t("run.state")}</Table.Th>
            <Table.Th>{t("run.task")}</Table.Th>
            {!compact && <Table.Th w={110}>{t("run.service")}</Table.Th>}
            {!compact && <Table.Th w={120}>{t("run.queue")}</Table.Th>}
            <Table.Th w={96} ta="right">
              {t("run.duration")}
            </Table.Th>
            {!compact && (
              <Table.Th w={84} ta="right">
                {t("run.attempts")}
              </Table.Th>
            )}
            <Table.Th w={128} ta="right">
              {t("run.when")}
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
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
                  <Text size="sm" fw={500} truncate>
                    {run.task || run.id}
                  </Text>
                </Link>
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
                {run.exception && (
                  <Text size="xs" c="red" truncate title={run.exception.message}>
                    {shortType(run.exception.type)}: {run.exception.message}
                  </Text>
                )}
              </Table.Td>
              {!compact && (
                <Table.Td>
                  <Text size="sm" c="dimmed" truncate>
                    {run.service}
                  </Text>
                </Table.Td>
              )}
              {!compact && (
                <Table.Td>
                  <Text size="sm" c="dimmed" truncate>
                    {run.queue || "–"}
                  </Text>
                </Table.Td>
              )}
              <Table.Td ta="right" className="num">
                {seconds(run.duration_s)}
              </Table.Td>
              {!compact && (
                <Table.Td ta="right" className="num">
                  {run.attempt_count}
                </Table.Td>
              )}
              <Table.Td ta="right">
                <Text size="sm" c="dimmed" component="span">
                  <Ago at={run.started_at ?? run.enqueued_at ?? run.updated_at} />
                </Text>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
