import { Code, CopyButton, Group, Loader, Stack, Text, Title, UnstyledButton } from "@mantine/core";
import { Link, useParams } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useKeptRequest, type KeptRequest } from "../../api/queries";
import { Card } from "../../ui/Card";
import { Facts, type Fact } from "../../ui/Facts";
import { seconds } from "../../ui/format";
import { MissingNote } from "../../ui/notes";
import { Ago, Clock } from "../../ui/time";
import { BreakdownBar, BreakdownTable } from "./BreakdownBar";
import { breakdownOf, wholeOf } from "./breakdown";

/** One request that was kept as an example: what it was, and where its time went. */
export function RequestPage() {
  const { t } = useTranslation();
  const { requestId } = useParams({ from: "/requests/$requestId" });
  const request = useKeptRequest(Number(requestId));
  if (request.isPending) return <Loader size="sm" />;
  if (request.isError) return <MissingNote error={request.error} none={t("request.notFound")} retry={() => void request.refetch()} list="services" />;
  const data = request.data;
  const slices = wholeOf(data.breakdown, data.duration_s, 0);
  const calls = breakdownOf(data.breakdown)?.slices ?? [];
  const atOnce = calls.some((slice) => slice.total_s !== null && slice.total_s > slice.covered_s + 1e-6);
  return (
    <Stack>
      <div>
        <Title order={1} fz="xl" style={{ overflowWrap: "anywhere" }}>
          <EndpointLink request={data} />
        </Title>
        <Text size="sm" c="dimmed">
          {t("request.title", { id: data.id })}
        </Text>
      </div>
      <Card>
        <RequestFacts request={data} />
      </Card>
      <Card title={t("breakdown.title")} aside={<Text size="sm" className="num">{seconds(data.duration_s)}</Text>}>
        <Stack gap="xs">
          <BreakdownBar slices={slices} height={22} />
          <BreakdownTable slices={slices} />
          {atOnce && (
            <Text size="xs" c="dimmed" data-testid="at-once">
              {t("request.atOnce")}
            </Text>
          )}
          {calls.length === 0 && (
            <Text size="xs" c="dimmed">
              {t("request.noCalls")}
            </Text>
          )}
        </Stack>
      </Card>
    </Stack>
  );
}

function EndpointLink({ request }: { request: KeptRequest }) {
  const [method = "", ...template] = request.endpoint.split(" ");
  return (
    <Link to="/endpoints" search={{ service: request.service, method, endpoint: template.join(" ") }} style={{ textDecoration: "underline" }}>
      {request.endpoint}
    </Link>
  );
}

function RequestFacts({ request }: { request: KeptRequest }) {
  const { t } = useTranslation();
  const facts: Fact[] = [
    [
      t("run.service"),
      <Link key="service" to="/services/$service" params={{ service: request.service }} style={{ textDecoration: "underline" }}>
        {request.service}
      </Link>,
    ],
    [t("request.status"), request.status],
    [t("run.duration"), seconds(request.duration_s)],
    [
      t("request.began"),
      <span key="at">
        <Clock at={request.at} /> (<Ago at={request.at} />)
      </span>,
    ],
    [t("request.kept"), t(`request.why.${request.kept}`, { count: request.among })],
    ...Object.entries(request.labels).map(([name, value]): Fact => [name, value]),
    ...(request.trace_id ? [[t("request.trace"), <Copied key="trace" value={request.trace_id} />] as Fact] : []),
  ];
  return <Facts facts={facts} name="facts" />;
}

function Copied({ value }: { value: string }) {
  return (
    <CopyButton value={value}>
      {({ copied, copy }) => (
        <UnstyledButton onClick={copy}>
          <Group gap={4} wrap="nowrap">
            <Code>
              {copied ? "✓ " : ""}
              {value}
            </Code>
          </Group>
        </UnstyledButton>
      )}
    </CopyButton>
  );
}
