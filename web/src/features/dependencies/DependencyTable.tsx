import { Group, Table, Text } from "@mantine/core";
import { IconBolt, IconDatabase, IconMail, IconWorld } from "@tabler/icons-react";
import { Link, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Dependency } from "../../api/queries";
import { percent, rate, seconds } from "../../ui/format";
import { StateBadge } from "../../ui/StateBadge";
import type { DependencySearch } from "./search";
import { nameOf, place, reasonOf } from "./words";

export const KIND_ICON = { database: IconDatabase, redis: IconBolt, http: IconWorld, smtp: IconMail } as const;

/** Dependencies, one a row, with the reason where one is not good; the row leads to its page. */
export function DependencyTable({ dependencies, window }: { dependencies: Dependency[]; window?: DependencySearch["window"] }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  return (
    <Table.ScrollContainer minWidth={860}>
      <Table verticalSpacing={6} highlightOnHover layout="fixed" data-testid="dependency-table">
        <Table.Thead>
          <Table.Tr>
            <Table.Th w={96}>{t("run.state")}</Table.Th>
            <Table.Th>{t("dependency.name")}</Table.Th>
            <Table.Th w={92} ta="right">
              {t("dependency.rate")}
            </Table.Th>
            <Table.Th w={84} ta="right">
              {t("dependency.errors")}
            </Table.Th>
            {["P50", "P95", "P99"].map((name) => (
              <Table.Th key={name} w={84} ta="right">
                {name}
              </Table.Th>
            ))}
            <Table.Th w={170} ta="right">
              {t("dependency.pool")}
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
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
              <Table.Td ta="right" className="num">
                {rate(each.calls_per_s)}
              </Table.Td>
              <Table.Td ta="right" className="num">
                <Text size="sm" component="span" c={each.reason?.kind === "errors" ? "red" : undefined} fw={each.reason?.kind === "errors" ? 600 : undefined}>
                  {percent(each.error_ratio)}
                </Text>
              </Table.Td>
              <Table.Td ta="right" className="num">
                {seconds(each.p50_s)}
              </Table.Td>
              <Table.Td ta="right" className="num">
                <Text size="sm" component="span" c={each.reason?.kind === "slower" ? "red" : undefined} fw={each.reason?.kind === "slower" ? 600 : undefined}>
                  {seconds(each.p95_s)}
                </Text>
              </Table.Td>
              <Table.Td ta="right" className="num">
                {seconds(each.p99_s)}
              </Table.Td>
              <Table.Td ta="right" className="num">
                <Pool pool={each.pool} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Name({ dependency, window }: { dependency: Dependency; window?: DependencySearch["window"] }) {
  const { t } = useTranslation();
  const Icon = KIND_ICON[dependency.kind];
  const reason = reasonOf(dependency, t);
  return (
    <Group gap={8} wrap="nowrap" align="flex-start">
      <Icon size={16} style={{ flexShrink: 0, marginTop: 2 }} aria-label={t(`dependency.kinds.${dependency.kind}`)} />
      <div style={{ minWidth: 0 }}>
        <Link {...place(dependency, window)} onClick={(event) => event.stopPropagation()}>
          <Text size="sm" fw={500} truncate title={nameOf(dependency, t)}>
            {nameOf(dependency, t)}
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
