import { Button, Code, CopyButton, Group, Loader, NumberInput, Select, Stack, Table, Text, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useAllEndpoints, useBuckets, useTasks, type Bounds, type BucketAdvice } from "../../api/queries";
import { Card } from "../../ui/Card";
import { DataTable, Figure, percentiles } from "../../ui/DataTable";
import { count, percent, seconds } from "../../ui/format";
import { EmptyNote, ErrorNote } from "../../ui/notes";
import { BoundsPicture } from "./BoundsPicture";
import { readBounds, worstOf, written } from "./scale";
import type { MeasurementsSearch } from "./search";

const DAY_S = 86_400;
const ALL = "tasks";

/** How far off Prometheus is with the buckets of today, and which bounds would be better. */
export function BucketsCard({ search, onChange }: { search: MeasurementsSearch; onChange: (next: MeasurementsSearch) => void }) {
  const { t } = useTranslation();
  const [typed, setTyped] = useState("");
  const [number, setNumber] = useState<number | string>("");
  const [settled] = useDebouncedValue(typed, 400);
  const bounds = readBounds(settled);
  const wrong = settled.trim() !== "" && bounds === null;
  const tasks = useTasks(DAY_S);
  const endpoints = useAllEndpoints(DAY_S);
  const advice = useBuckets({
    ...(search.service ? { service: search.service } : {}),
    ...(search.task ? { task: search.task } : {}),
    ...(search.endpoint ? { endpoint: search.endpoint } : {}),
    ...(bounds ? { bounds } : {}),
    ...(typeof number === "number" && number >= 1 ? { count: number } : {}),
  });
  const choices = new Map<string, MeasurementsSearch>([[ALL, {}]]);
  const options = (tasks.data?.items ?? []).filter((each) => each.runs > 0 && each.task !== "").map((each) => option(choices, { service: each.service, task: each.task }));
  const routes = (endpoints.data?.items ?? []).map((each) => option(choices, { service: each.service, endpoint: `${each.method} ${each.endpoint}` }));
  return (
    <Card title={t("measurement.buckets")}>
      <Stack gap="sm">
        <Text size="sm" c="dimmed" maw={760}>
          {t("measurement.bucketsHelp")}
        </Text>
        <Group align="flex-start" gap="sm">
          <Select
            size="xs"
            w={{ base: "100%", sm: 320 }}
            label={t("measurement.of")}
            searchable
            allowDeselect={false}
            value={keyOf(search)}
            onChange={(chosen) => onChange(choices.get(chosen ?? ALL) ?? {})}
            data={[
              { group: t("measurement.tasks"), items: [{ value: ALL, label: t("measurement.allTasks") }, ...options] },
              ...(routes.length > 0 ? [{ group: t("measurement.endpoints"), items: routes }] : []),
            ]}
          />
          <TextInput
            size="xs"
            w={{ base: "100%", sm: 320 }}
            label={t("measurement.now")}
            placeholder={t("measurement.own")}
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
            error={wrong ? t("measurement.wrong") : undefined}
          />
          <NumberInput size="xs" w={140} label={t("measurement.number")} placeholder={t("measurement.asNow")} min={1} max={100} value={number} onChange={setNumber} />
        </Group>
        {advice.isError ? (
          <ErrorNote error={advice.error} retry={() => void advice.refetch()} />
        ) : advice.isPending ? (
          <Loader size="sm" />
        ) : advice.data.observed === 0 ? (
          <EmptyNote>{t("measurement.nothing")}</EmptyNote>
        ) : (
          <Comparison advice={advice.data} />
        )}
      </Stack>
    </Card>
  );
}

/** Remember what a choice stands for and return it for the list. */
function option(choices: Map<string, MeasurementsSearch>, of: MeasurementsSearch) {
  const value = keyOf(of);
  choices.set(value, of);
  return { value, label: `${of.task ?? of.endpoint ?? ""} · ${of.service ?? ""}` };
}

function keyOf(search: MeasurementsSearch): string {
  if (search.task) return `task ${search.service ?? ""} ${search.task}`;
  return search.endpoint ? `endpoint ${search.service ?? ""} ${search.endpoint}` : ALL;
}

function Comparison({ advice }: { advice: BucketAdvice }) {
  const { t } = useTranslation();
  const text = written(advice.proposed.bounds);
  const same = text === written(advice.present.bounds);
  return (
    <>
      <Text size="sm" data-testid="bucket-verdict">
        {t(same ? "measurement.stay" : "measurement.better", {
          observed: count(advice.observed),
          now: percent(worstOf(advice.present)),
          then: percent(worstOf(advice.proposed)),
        })}
      </Text>
      <BoundsPicture advice={advice} />
      <DataTable
        name="bucket-table"
        minWidth={400}
        spacing={5}
        fixed={false}
        highlight={false}
        columns={[{ key: "bounds", title: "" }, { key: "number", title: t("measurement.number"), right: true, wide: true }, ...percentiles().map((column) => ({ ...column, wide: false }))]}
      >
        <Table.Tr>
          <Table.Td>{t("measurement.true")}</Table.Td>
          <Table.Td />
          {[advice.p50_s, advice.p95_s, advice.p99_s].map((value, index) => (
            <Figure key={index}>{seconds(value)}</Figure>
          ))}
        </Table.Tr>
        <BoundsRow name="present" bounds={advice.present} />
        <BoundsRow name="proposed" bounds={advice.proposed} />
      </DataTable>
      <Group gap="sm" wrap="nowrap" align="flex-start">
        <Code block style={{ flex: 1, whiteSpace: "pre-wrap", overflowWrap: "anywhere" }} data-testid="bounds">
          {`HUOYAN_BUCKETS=${text}`}
        </Code>
        <CopyButton value={`HUOYAN_BUCKETS=${text}`}>
          {({ copied, copy }) => (
            <Button size="xs" variant="light" color={copied ? "teal" : undefined} onClick={copy} style={{ flexShrink: 0 }}>
              {t(copied ? "measurement.copied" : "measurement.copy")}
            </Button>
          )}
        </CopyButton>
      </Group>
    </>
  );
}

/** A share of the true value from which on a percentile misleads. */
const FAR = 0.1;

function BoundsRow({ name, bounds }: { name: "present" | "proposed"; bounds: Bounds }) {
  const { t } = useTranslation();
  const quantiles = [
    [bounds.computed_p50_s, bounds.p50],
    [bounds.computed_p95_s, bounds.p95],
    [bounds.computed_p99_s, bounds.p99],
  ] as const;
  return (
    <Table.Tr data-bounds={name}>
      <Table.Td>{t(`measurement.${name}`)}</Table.Td>
      <Figure>{bounds.bounds.length}</Figure>
      {quantiles.map(([value, error], index) => (
        <Table.Td key={index} ta="right" className="num" title={bounds.bounds.length === 0 ? undefined : t("measurement.off", { error: percent(error) })}>
          {seconds(value)}{" "}
          <Text span size="xs" c={error !== null && error >= FAR ? "red" : "dimmed"} fw={error !== null && error >= FAR ? 600 : undefined}>
            {error !== null && error < 0.001 ? "" : "±"}
            {percent(error)}
          </Text>
        </Table.Td>
      ))}
    </Table.Tr>
  );
}
