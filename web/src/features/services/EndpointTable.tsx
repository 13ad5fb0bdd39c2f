import { Table, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Endpoint } from "../../api/queries";
import { DataTable, Figure } from "../../ui/DataTable";
import { count, percent, seconds } from "../../ui/format";
import { useNarrow } from "../../ui/narrow";
import type { Window } from "../tasks/order";
import { ErrorShare, useWhyNot } from "./cells";
import { ENDPOINT_COLUMNS, sorted, type EndpointColumn } from "./order";

const ON_PHONES: ReadonlySet<EndpointColumn> = new Set(["endpoint", "requests_per_minute", "server_error_ratio", "p99_s"]);

export interface EndpointTableProps {
  endpoints: Endpoint[];
  by: EndpointColumn;
  up: boolean;
  window: Window;
  onSort: (column: EndpointColumn) => void;
}

/** Endpoints, one a row; the bar is its part of the time of all. */
export function EndpointTable({ endpoints, by, up, window, onSort }: EndpointTableProps) {
  const { t } = useTranslation();
  const narrow = useNarrow();
  const whyNot = useWhyNot();
  const whole = endpoints.reduce((sum, one) => sum + one.total_s, 0);
  return (
    <DataTable
      name="endpoint-table"
      minWidth={900}
      order={{ by, up, onSort }}
      columns={ENDPOINT_COLUMNS.map((key) => ({
        key,
        title: t(`services.${key}`),
        right: key !== "endpoint",
        width: key === "endpoint" ? undefined : 96,
        narrow: key === "endpoint" ? undefined : 72,
        wide: !ON_PHONES.has(key),
      }))}
    >
      {sorted(endpoints, (one) => (by === "endpoint" ? `${one.endpoint} ${one.method}` : one[by]), up).map((one) => (
        <Table.Tr key={`${one.service} ${one.method} ${one.endpoint}`} data-endpoint={`${one.method} ${one.endpoint}`}>
          <Table.Td>
            <Link to="/endpoints" search={{ service: one.service, method: one.method, endpoint: one.endpoint, window }}>
              <Text size="sm" {...(narrow ? { style: { overflowWrap: "anywhere" } } : { truncate: true })} title={`${one.method} ${one.endpoint}`}>
                <Text span inherit c="dimmed" className="mono">
                  {one.method}
                </Text>{" "}
                <Text span inherit fw={500}>
                  {one.endpoint}
                </Text>
              </Text>
            </Link>
          </Table.Td>
          <Figure>
            <span title={seconds(one.total_s)}>{percent(whole > 0 ? one.total_s / whole : null)}</span>
          </Figure>
          <Figure>{count(one.requests_per_minute)}</Figure>
          <Figure>{percent(one.client_error_ratio)}</Figure>
          <Figure title={whyNot(one.server_error_ratio, one.requests)}>
            <ErrorShare ratio={one.server_error_ratio} />
          </Figure>
          <Figure>{seconds(one.p50_s)}</Figure>
          <Figure>{seconds(one.p95_s)}</Figure>
          <Figure title={whyNot(one.p99_s, one.requests)}>{seconds(one.p99_s)}</Figure>
        </Table.Tr>
      ))}
    </DataTable>
  );
}
