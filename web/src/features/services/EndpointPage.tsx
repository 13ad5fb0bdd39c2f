import { Group, SimpleGrid, Stack, Text, Title } from "@mantine/core";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { PercentilesChart } from "../../signals/PercentilesChart";
import { SignalChart } from "../../signals/SignalChart";
import { NoneNote } from "../../ui/notes";
import { CausesCard } from "../causes/CausesCard";
import { DeploysCard } from "../deploys/DeploysCard";
import { BlindBanner } from "../gaps/BlindBanner";
import { WINDOWS, spanOf, stepOf } from "../tasks/order";
import { WindowChoice } from "./cells";

/** One endpoint: what makes its slowest requests slow, and how it does over time. */
export function EndpointPage() {
  const { t } = useTranslation();
  const search = useSearch({ from: "/endpoints" });
  const navigate = useNavigate({ from: "/endpoints" });
  const { service = "", method = "", endpoint, window = "h1" } = search;
  if (endpoint === undefined) return <NoneNote list="services">{t("services.whichEndpoint")}</NoneNote>;
  const since = `-${WINDOWS[window]}s`;
  const label = [`endpoint=${endpoint}`, ...(method ? [`method=${method}`] : [])];
  const chart = { ...(service ? { service } : {}), label, since, step_s: stepOf(window), window_s: spanOf(window), by: ["-"] };
  return (
    <Stack>
      <Group justify="space-between">
        <div>
          <Title order={1} fz="xl" style={{ overflowWrap: "anywhere" }}>
            <Text span inherit c="dimmed">
              {method}
            </Text>{" "}
            {endpoint}
          </Title>
          {service && (
            <Text size="sm" c="dimmed">
              <Link to="/services/$service" params={{ service }} search={{ window }} style={{ textDecoration: "underline" }}>
                {service}
              </Link>
            </Text>
          )}
        </div>
        <WindowChoice value={window} onChange={(chosen) => void navigate({ search: { ...search, window: chosen }, replace: true })} />
      </Group>
      <BlindBanner />
      <CausesCard query={{ ...(service ? { service } : {}), endpoint: `${method} ${endpoint}`.trim(), since }} />
      <DeploysCard since={since} of={{ ...(service ? { service } : {}), endpoint: `${method} ${endpoint}`.trim() }} />
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <PercentilesChart family="http_latency" query={chart} title={t("services.latency")} />
        <SignalChart id="http_requests_per_minute" query={chart} />
        <SignalChart id="http_error_ratio" query={chart} color="#e03131" />
        <SignalChart id="http_client_error_ratio" query={chart} color="#f59f00" />
        {service && <SignalChart id="http_in_flight" query={{ service, since, step_s: chart.step_s, by: ["-"] }} title={t("services.inFlightChart")} />}
      </SimpleGrid>
    </Stack>
  );
}
