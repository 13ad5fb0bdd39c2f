import { Anchor, Code, CopyButton, Group, Loader, Progress, SimpleGrid, Stack, Text, Title, UnstyledButton } from "@mantine/core";
import { Link, useParams } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useRun, useRunChildren, type Run } from "../../api/queries";
import { Card } from "../../ui/Card";
import { Facts, type Fact } from "../../ui/Facts";
import { seconds, share } from "../../ui/format";
import { JsonView } from "../../ui/JsonView";
import { EmptyNote, MissingNote } from "../../ui/notes";
import { Name } from "../../ui/Name";
import { StateBadge } from "../../ui/StateBadge";
import { Ago, Clock, Elapsed } from "../../ui/time";
import { AttemptTimeline } from "./AttemptTimeline";
import { BreakdownBar, BreakdownTable } from "../causes/BreakdownBar";
import { breakdownOf, wholeOf } from "../causes/breakdown";
import { GapNote } from "../gaps/GapNote";
import { RunTable } from "./RunTable";
import { WorkflowCard } from "../workflows/WorkflowCard";
import { reasonText } from "../../ui/reason";

export function RunPage() {
  const { t } = useTranslation();
  const { runId } = useParams({ from: "/runs/$runId" });
  const run = useRun(runId);
  const children = useRunChildren(runId);
  if (run.isPending) return <Loader size="sm" />;
  if (run.isError) return <MissingNote error={run.error} none={t("run.notFound")} retry={() => void run.refetch()} list="runs" />;
  const data = run.data;
  return (
    <Stack>
      <Group gap="sm" wrap="wrap">
        <StateBadge state={data.state} evidence={data.evidence} size="lg" />
        {data.stuck && <StateBadge state="stuck" size="lg" />}
        <Title order={1} fz="xl" style={{ overflowWrap: "anywhere" }}>
          <Name of={data.task || data.id} />
        </Title>
        <CopyButton value={data.id}>
          {({ copied, copy }) => (
            <UnstyledButton onClick={copy}>
              <Code data-testid="run-id">{copied ? "✓ " : ""}{data.id}</Code>
            </UnstyledButton>
          )}
        </CopyButton>
      </Group>
      {data.reason && (
        <Text c="dimmed">
          {t("run.because", { reason: reasonText(t, data) })}
        </Text>
      )}
      {data.stuck && (
        <Text c="orange" data-testid="stuck-since">
          {t("run.stuckSince")} <Clock at={data.stuck_since} /> (<Ago at={data.stuck_since} />)
        </Text>
      )}
      {data.progress && <Advance progress={data.progress} moving={data.state === "started" && !data.stuck} />}
      <Card>
        <RunFacts run={data} />
      </Card>
      <WorkflowCard runId={runId} />
      {data.attempts.length > 0 && (
        <Card title={t("run.timeline")}>
          <GapNote since={data.enqueued_at ?? data.started_at ?? undefined} until={data.finished_at ?? undefined} of="run" period="run" />
          <AttemptTimeline run={data} />
        </Card>
      )}
      <Went run={data} />
      {data.history && data.history.length > 0 && <History corrections={data.history} />}
      {data.exception && (
        <Card
          title={t("run.exception")}
          aside={
            data.exception.fingerprint ? (
              <Anchor component={Link} to="/runs" search={{ failure: data.exception.fingerprint } as never} size="sm">
                {t("run.sameFailure")}
              </Anchor>
            ) : null
          }
        >
          <Text fw={600} c="red" mb="xs" style={{ overflowWrap: "anywhere" }}>
            <span>{data.exception.type}</span>: <span>{data.exception.message}</span>
          </Text>
          {data.exception.traceback && <JsonView value={data.exception.traceback} label={t("run.traceback")} />}
        </Card>
      )}
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <Card title={t("run.arguments")}>
          <Arguments run={data} />
        </Card>
        {data.result !== null && data.result !== undefined && (
          <Card title={t("run.result")}>
            <JsonView value={data.result} label={t("run.result")} />
          </Card>
        )}
      </SimpleGrid>
      {(children.data?.items.length ?? 0) > 0 && (
        <Card title={t("run.children")}>
          <RunTable runs={children.data?.items ?? []} compact />
        </Card>
      )}
    </Stack>
  );
}

/** How far it is: a bar where the whole is known, otherwise what it said of itself. */
function Advance({ progress, moving }: { progress: NonNullable<Run["progress"]>; moving: boolean }) {
  const { t } = useTranslation();
  const { done, total, note } = progress;
  const far = total ? `${done ?? 0} / ${total}` : done !== null ? String(done) : "";
  if (!far && !note) return null;
  return (
    <Card title={t("run.progress")}>
      {total ? <Progress value={share(progress)} animated={moving} aria-label={t("run.progress")} mb={4} /> : null}
      <Text size="sm" c="dimmed" style={{ overflowWrap: "anywhere" }} data-testid="progress-words">
        {[far, note].filter(Boolean).join(" · ")}
      </Text>
    </Card>
  );
}

/** Where the time of the run went, when its process watched what it called. */
function Went({ run }: { run: Run }) {
  const { t } = useTranslation();
  const breakdown = breakdownOf(run.breakdown);
  if (breakdown === null) return null;
  const wait_s = Math.max(0, run.wait_s ?? 0);
  const slices = wholeOf(run.breakdown, breakdown.total_s, wait_s);
  return (
    <Card title={t("breakdown.title")} aside={<Text size="sm" className="num">{seconds(breakdown.total_s + wait_s)}</Text>}>
      <Stack gap="xs">
        <BreakdownBar slices={slices} height={22} />
        <BreakdownTable slices={slices} />
      </Stack>
    </Card>
  );
}

function History({ corrections }: { corrections: NonNullable<Run["history"]> }) {
  const { t } = useTranslation();
  return (
    <Card title={t("run.history")}>
      <Text size="xs" c="dimmed" mb="xs">
        {t("run.historyHelp")}
      </Text>
      <Stack gap={6} data-testid="run-history">
        {corrections.map((one) => (
          <Group key={`${one.at} ${one.after}`} gap="xs" wrap="wrap">
            <Text size="sm" c="dimmed" component="span">
              <Clock at={one.at} />
            </Text>
            <StateBadge state={one.before} />
            <span aria-hidden>→</span>
            <StateBadge state={one.after} evidence={one.evidence} />
            <Text size="sm" style={{ overflowWrap: "anywhere" }}>
              {reasonText(t, one)}
            </Text>
          </Group>
        ))}
      </Stack>
    </Card>
  );
}

function Arguments({ run }: { run: Run }) {
  const { t } = useTranslation();
  const empty = (value: unknown) =>
    value === null || value === undefined || value === "" || (typeof value === "object" && Object.keys(value).length === 0);
  if (empty(run.args) && empty(run.kwargs)) return <EmptyNote>{t("run.noArguments")}</EmptyNote>;
  return (
    <Stack gap="xs">
      {!empty(run.args) && <JsonView value={run.args} label={t("run.arguments")} />}
      {!empty(run.kwargs) && <JsonView value={run.kwargs} label={t("run.keyword")} />}
    </Stack>
  );
}

function RunFacts({ run }: { run: Run }) {
  const { t } = useTranslation();
  const facts: Fact[] = [
    [t("run.service"), run.service],
    [t("run.framework"), run.framework],
    [t("run.queue"), run.queue || "–"],
    [t("run.worker"), run.worker || "–"],
    [t("run.enqueued"), <Clock key="e" at={run.enqueued_at} />],
    ...(run.eta ? ([[t("run.due"), <Clock key="d" at={run.eta} />]] as Fact[]) : []),
    [t("run.started"), <Clock key="s" at={run.started_at} />],
    [t("run.finished"), run.finished_at ? <Clock key="f" at={run.finished_at} /> : "–"],
    [t("run.wait"), seconds(run.wait_s)],
    [t("run.duration"), run.state === "started" ? <Elapsed key="a" since={run.started_at} /> : seconds(run.duration_s)],
    [t("run.attempts"), run.attempt_count],
    ...(run.redelivery ? ([[t("run.redelivery"), t(`run.redeliveries.${run.redelivery}`)]] as Fact[]) : []),
    ...(run.heartbeat_s ? ([[t("run.promised"), seconds(run.heartbeat_s)]] as Fact[]) : []),
    ...Object.entries(run.labels).map(([name, value]) => [name === "request" ? t("run.request") : name, value] as Fact),
  ];
  return <Facts facts={facts} />;
}
