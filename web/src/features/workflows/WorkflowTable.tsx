import { Loader, Table, Text } from "@mantine/core";
import { Link, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useWorkflows } from "../../api/queries";
import { DataTable, Figure } from "../../ui/DataTable";
import { count } from "../../ui/format";
import { Name } from "../../ui/Name";
import { useNarrow } from "../../ui/narrow";
import { EmptyNote, ErrorNote } from "../../ui/notes";
import { Ago } from "../../ui/time";
import { StateBar } from "./StateBar";

/** Workflows, one a row, however many runs each has. */
export function WorkflowTable({ since, service }: { since: string | undefined; service?: string[] }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const narrow = useNarrow();
  const page = useWorkflows(since, service);
  if (page.isPending) return <Loader size="sm" />;
  if (page.isError) return <ErrorNote error={page.error} retry={() => void page.refetch()} />;
  if (page.data.items.length === 0) return <EmptyNote>{t("workflow.none")}</EmptyNote>;
  return (
    <>
      <DataTable
        name="workflow-table"
        minWidth={narrow ? 0 : 760}
        columns={[
          { key: "task", title: t("run.task") },
          !narrow && { key: "service", title: t("run.service"), width: 110 },
          { key: "progress", title: t("run.progress"), width: narrow ? 96 : 180 },
          !narrow && { key: "runs", title: t("workflow.runs"), width: 120, right: true },
          !narrow && { key: "failed", title: t("workflow.failed"), width: 80, right: true },
          { key: "when", title: t("run.when"), width: narrow ? 84 : 128, right: true },
        ]}
      >
        {page.data.items.map((row) => (
          <Table.Tr key={row.run_id} className="row-link" onClick={() => void navigate({ to: "/runs/$runId", params: { runId: row.run_id } })}>
            <Table.Td>
              <Link to="/runs/$runId" params={{ runId: row.run_id }} onClick={(event) => event.stopPropagation()}>
                <Text size="sm" fw={500} {...(narrow ? { style: { overflowWrap: "anywhere" } } : { truncate: true })}>
                  <Name of={row.task || row.run_id} />
                </Text>
              </Link>
              {row.group_id && (
                <Text size="xs" c="dimmed" truncate title={row.group_id}>
                  {t("run.group")} <span className="mono">{row.group_id.slice(0, 12)}</span>
                </Text>
              )}
            </Table.Td>
            {!narrow && (
              <Table.Td>
                <Text size="sm" c="dimmed" truncate>
                  {row.service}
                </Text>
              </Table.Td>
            )}
            <Table.Td>
              <StateBar states={row.states} total={row.total} size="md" />
              {narrow && (
                <Text size="xs" c="dimmed" className="num" mt={2}>
                  {count(row.finished)} / {count(row.total)}
                </Text>
              )}
            </Table.Td>
            {!narrow && (
              <>
                <Figure>{count(row.finished)} / {count(row.total)}</Figure>
                <Table.Td ta="right" className="num" c={row.failed > 0 ? "red" : "dimmed"}>
                  {count(row.failed)}
                </Table.Td>
              </>
            )}
            <Table.Td ta="right">
              <Text size="sm" c="dimmed" component="span">
                <Ago at={row.first_at} />
              </Text>
            </Table.Td>
          </Table.Tr>
        ))}
      </DataTable>
      {!page.data.exact && (
        <Text size="xs" c="dimmed" mt="xs">
          {t("workflow.notExact")}
        </Text>
      )}
    </>
  );
}
