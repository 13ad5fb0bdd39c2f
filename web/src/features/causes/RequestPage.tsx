import { Code, CopyButton, Group, Loader, SimpleGrid, Stack, Text, Title, UnstyledButton } from "@mantine/core";
import { Link, useParams } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Problem } from "../../api/client";
import { useKeptRequest, type KeptRequest } from "../../api/queries";
import { Card } from "../../ui/Card";
import { seconds } from "../../ui/format";
import { EmptyNote, ErrorNote } from "../../ui/notes";
import { Ago, Clock } from "../../ui/time";
import { BreakdownBar, BreakdownTable } from "./BreakdownBar";
import { breakdownOf, wholeOf } from "./breakdown";

/** One request that was kept as an example: what it was, and where its time went. */
export function RequestPage() {
  const { t } = useTranslation();
  const { requestId } = useParams({ from: "/requests/$requestId" });
  const request = useKeptRequest(Number(requestId));
  if (request.isPending) return <Loader size="sm" />;
  if (request.isError) {
    // A number that is none is told as invalid: 422.
    const missing = request.error instanceof Problem && [404, 422].includes(request.error.status);
    return missing ? <EmptyNote>{t("request.notFound")}</EmptyNote> : <ErrorNote error={request.error} retry={() => void request.refetch()} />;
  }
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
        <Facts request={data} />
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

function Facts({ request }: { request: KeptRequest }) {
  const { t } = useTranslation();
  const facts: [string, ReactNode][] = [
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
    ...Object.entries(request.labels).map(([name, value]): [string, ReactNode] => [name, value]),
    ...(request.trace_id ? [[t("request.trace"), <Copied key="trace" value={request.trace_id} />] as [string, ReactNode]] : []),
  ];
  return (
    <SimpleGrid cols={{ base: 2, sm: 3, lg: 5 }} spacing="sm" data-testid="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <Text size="xs" c="dimmed">
            {name}
          </Text>
          <Text size="sm" component="div" style={{ overflowWrap: "anywhere" }}>
            {value}
          </Text>
        </div>
      ))}
    </SimpleGrid>
  );
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
