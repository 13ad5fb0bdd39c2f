import { Group, Loader, SimpleGrid, Stack, Title } from "@mantine/core";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useEndpoints } from "../../api/queries";
import { PercentilesChart } from "../../signals/PercentilesChart";
import { SignalChart } from "../../signals/SignalChart";
import { Card } from "../../ui/Card";
import { EmptyNote, ErrorNote } from "../../ui/notes";
import { CausesCard } from "../causes/CausesCard";
import { DeploysCard } from "../deploys/DeploysCard";
import { BlindBanner } from "../gaps/BlindBanner";
import { GapNote } from "../gaps/GapNote";
import { WINDOWS, spanOf, stepOf } from "../tasks/order";
import { WindowChoice } from "./cells";
import { EndpointTable } from "./EndpointTable";
import { turnedTo } from "./order";

/** One service: its endpoints, how they do, and which of them loses the most time to what. */
export function ServicePage() {
  const { t } = useTranslation();
  const { service: named } = useParams({ from: "/services/$service" });
  const search = useSearch({ from: "/services/$service" });
  const navigate = useNavigate({ from: "/services/$service" });
  const service = named === "-" ? "" : named;
  const { window = "h1", by = "total_s", up = false } = search;
  const endpoints = useEndpoints(WINDOWS[window], service);
  const since = `-${WINDOWS[window]}s`;
  const chart = { service, since, step_s: stepOf(window), window_s: spanOf(window), by: ["service"] };
  return (
    <Stack>
      <Group justify="space-between">
        <Title order={1} fz="xl" style={{ overflowWrap: "anywhere" }}>
          {service || t("services.unnamed")}
        </Title>
        <WindowChoice value={window} onChange={(chosen) => void navigate({ search: { ...search, window: chosen }, replace: true })} />
      </Group>
      <BlindBanner />
      <Card title={t("services.endpoints")}>
        <GapNote since={since} of="figures" />
        {endpoints.isError ? (
          <ErrorNote error={endpoints.error} retry={() => void endpoints.refetch()} />
        ) : endpoints.isPending ? (
          <Loader size="sm" />
        ) : endpoints.data.items.length === 0 ? (
          <EmptyNote>{t("services.nothing")}</EmptyNote>
        ) : (
          <EndpointTable
            endpoints={endpoints.data.items}
            by={by}
            up={up}
            window={window}
            onSort={(column) => void navigate({ search: turnedTo(search, column), replace: true })}
          />
        )}
      </Card>
      <CausesCard query={{ service, since }} window={window} />
      <DeploysCard since={since} of={{ service }} />
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <SignalChart id="http_requests_per_minute" query={chart} />
        <PercentilesChart family="http_latency" query={chart} title={t("services.latency")} />
        <SignalChart id="http_error_ratio" query={chart} color="#e03131" />
        <SignalChart id="http_client_error_ratio" query={chart} color="#f59f00" />
        <SignalChart id="http_in_flight" query={chart} />
        <SignalChart id="event_loop_lag_p99" query={{ ...chart, by: ["worker"] }} />
        <SignalChart id="gc_pause_p99" query={{ ...chart, by: ["worker"] }} />
      </SimpleGrid>
    </Stack>
  );
}
