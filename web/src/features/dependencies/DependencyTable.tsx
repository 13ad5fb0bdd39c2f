import { Group, Table, Text } from "@mantine/core";
import { IconBolt, IconDatabase, IconMail, IconWorld } from "@tabler/icons-react";
import { Link, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Dependency } from "../../api/queries";
import { DataTable, Figure, percentiles } from "../../ui/DataTable";
import { percent, rate, seconds } from "../../ui/format";
import { Name as Named } from "../../ui/Name";
import { useNarrow } from "../../ui/narrow";
import { StateBadge } from "../../ui/StateBadge";
import type { DependencySearch } from "./search";
import { nameOf, place, reasonOf } from "./words";

export const KIND_ICON = { database: IconDatabase, redis: IconBolt, http: IconWorld, smtp: IconMail } as const;

/** Dependencies, one a row, with the reason where one is not good; the row leads to its page. */
export function DependencyTable({ dependencies, window }: { dependencies: Dependency[]; window?: DependencySearch["window"] }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  return (
    <DataTable
      name="dependency-table"
      minWidth={860}
      columns={[
        { key: "state", title: t("run.state"), width: 96, narrow: 80 },
        { key: "name", title: t("dependency.name") },
        { key: "rate", title: t("dependency.rate"), width: 92, right: true, wide: true },
        { key: "errors", title: t("dependency.errors"), width: 84, narrow: 64, right: true },
        ...percentiles(),
        { key: "pool", title: t("dependency.pool"), width: 170, right: true, wide: true },
      ]}
    >
      {dependencies.map((each) => (
        <Table.Tr
          key={`${each.service} ${each.kind} ${each.target}`}
          className="row-link"
          data-dependency={`${each.service}/${each.kind}/${each.target}`}
          onClick={() => void navigate(place(each, window))}
        >
          <Table.Td>
            <StateBadge state={each.health} />
          </Table.Td>
          <Table.Td>
            <Name dependency={each} window={window} />
          </Table.Td>
          <Figure>{rate(each.calls_per_s)}</Figure>
          <Figure>
            <Text size="sm" component="span" c={each.reason?.kind === "errors" ? "red" : undefined} fw={each.reason?.kind === "errors" ? 600 : undefined}>
              {percent(each.error_ratio)}
            </Text>
          </Figure>
          <Figure>{seconds(each.p50_s)}</Figure>
          <Figure>
            <Text size="sm" component="span" c={each.reason?.kind === "slower" ? "red" : undefined} fw={each.reason?.kind === "slower" ? 600 : undefined}>
              {seconds(each.p95_s)}
            </Text>
          </Figure>
          <Figure>{seconds(each.p99_s)}</Figure>
          <Figure><Pool pool={each.pool} /></Figure>
        </Table.Tr>
      ))}
    </DataTable>
  );
}

function Name({ dependency, window }: { dependency: Dependency; window?: DependencySearch["window"] }) {
  const { t } = useTranslation();
  const narrow = useNarrow();
  const Icon = KIND_ICON[dependency.kind];
  const reason = reasonOf(dependency, t);
  return (
    <Group gap={8} wrap="nowrap" align="flex-start">
      <Icon size={16} style={{ flexShrink: 0, marginTop: 2 }} aria-label={t(`dependency.kinds.${dependency.kind}`)} />
      <div style={{ minWidth: 0 }}>
        <Link {...place(dependency, window)} onClick={(event) => event.stopPropagation()}>
          <Text size="sm" fw={500} {...(narrow ? { style: { overflowWrap: "anywhere" } } : { truncate: true })} title={nameOf(dependency, t)}>
            <Named of={nameOf(dependency, t)} />
          </Text>
        </Link>
        <Text size="xs" c="dimmed" truncate>
          {dependency.service}
        </Text>
        {reason && (
          <Text size="xs" c={dependency.health === "failing" ? "red" : "orange"} data-testid="reason">
            {reason}
          </Text>
        )}
      </div>
    </Group>
  );
}

/** Connections lent out of those that may be, and how long one is waited for. */
function Pool({ pool }: { pool: Dependency["pool"] }) {
  const { t } = useTranslation();
  if (pool === null) return <>–</>;
  return (
    <Text size="sm" truncate>
      {pool.in_use ?? "–"}
      {pool.most === null ? "" : ` / ${pool.most}`}
      {pool.wait_p95_s === null ? "" : ` · ${t("dependency.waits", { wait: seconds(pool.wait_p95_s) })}`}
    </Text>
  );
}
