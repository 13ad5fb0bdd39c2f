import { Code, Group, Loader, Stack, Table, Text, Title } from "@mantine/core";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useServices } from "../../api/queries";
import { SignalChart } from "../../signals/SignalChart";
import { Card } from "../../ui/Card";
import { DataTable, Figure } from "../../ui/DataTable";
import { count, percent, seconds } from "../../ui/format";
import { EmptyNote, ErrorNote } from "../../ui/notes";
import { Sparkline } from "../../ui/Sparkline";
import { BlindBanner } from "../gaps/BlindBanner";
import { GapNote } from "../gaps/GapNote";
import { WINDOWS, spanOf, stepOf } from "../tasks/order";
import { ErrorShare, WindowChoice, useWhyNot } from "./cells";
import { SERVICE_COLUMNS, type ServiceColumn } from "./order";

const WIDTH: Partial<Record<ServiceColumn, number>> = { requests_per_minute: 110, trend_per_minute: 136, in_flight: 100 };

/** How much, how well, how fast. */
const ON_PHONES: ReadonlySet<ServiceColumn> = new Set(["service", "requests_per_minute", "server_error_ratio", "p99_s"]);

/** Every service that answers HTTP: how much, how well, how fast. */
export function ServicesPage() {
  const { t } = useTranslation();
  const whyNot = useWhyNot();
  const { window = "h1" } = useSearch({ from: "/services" });
  const navigate = useNavigate({ from: "/services" });
  const services = useServices(WINDOWS[window]);
  const since = `-${WINDOWS[window]}s`;
  const chart = { since, by: ["service"], step_s: stepOf(window), window_s: spanOf(window) };
  return (
    <Stack>
      <Group justify="space-between">
        <Title order={1} fz="xl">
          {t("services.title")}
        </Title>
        <WindowChoice value={window} onChange={(chosen) => void navigate({ search: { window: chosen }, replace: true })} />
      </Group>
      <BlindBanner />
      <Card label={t("services.title")}>
        <GapNote since={since} of="figures" />
        {services.isError ? (
          <ErrorNote error={services.error} retry={() => void services.refetch()} />
        ) : services.isPending ? (
          <Loader size="sm" />
        ) : services.data.items.length === 0 ? (
          <EmptyNote>
            {t("services.none")} <Code>huoyan.watch(app)</Code>
          </EmptyNote>
        ) : (
          <DataTable
            name="service-table"
            minWidth={940}
            columns={SERVICE_COLUMNS.map((key) => ({
              key,
              title: t(`services.${key}`),
              right: key !== "service",
              width: key === "service" ? undefined : (WIDTH[key] ?? 92),
              narrow: key === "service" ? undefined : 72,
              wide: !ON_PHONES.has(key),
            }))}
          >
            {services.data.items.map((one) => (
              <Table.Tr key={one.service} data-service={one.service}>
                <Table.Td>
                  <Link to="/services/$service" params={{ service: one.service || "-" }} search={{ window }}>
                    <Text size="sm" fw={500} truncate title={one.service}>
                      {one.service || t("services.unnamed")}
                    </Text>
                  </Link>
                  <Text size="xs" c="dimmed">
                    {t("services.endpointCount", { count: one.endpoints })}
                  </Text>
                </Table.Td>
                <Figure>{count(one.requests_per_minute)}</Figure>
                <Table.Td>
                  <Sparkline
                    values={one.trend_per_minute}
                    title={t("services.trendSays", { now: count(one.trend_per_minute.at(-1)), most: count(Math.max(...one.trend_per_minute)) })}
                  />
                </Table.Td>
                <Figure>{percent(one.client_error_ratio)}</Figure>
                <Figure title={whyNot(one.server_error_ratio, one.requests)}>
                  <ErrorShare ratio={one.server_error_ratio} />
                </Figure>
                <Figure>{seconds(one.p50_s)}</Figure>
                <Figure>{seconds(one.p95_s)}</Figure>
                <Figure title={whyNot(one.p99_s, one.requests)}>{seconds(one.p99_s)}</Figure>
                <Figure>{count(one.in_flight)}</Figure>
              </Table.Tr>
            ))}
          </DataTable>
        )}
      </Card>
      {(services.data?.items.length ?? 0) > 0 && (
        <>
          <SignalChart id="http_requests_per_minute" query={chart} title={t("services.rateChart")} />
          <SignalChart id="http_latency_p99" query={chart} title={t("services.p99Chart")} />
        </>
      )}
    </Stack>
  );
}
