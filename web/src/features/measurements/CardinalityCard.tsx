import { Badge, Button, Group, Loader, Stack, Table, Text } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useCardinality, type LabelBudget } from "../../api/queries";
import { Card } from "../../ui/Card";
import { DataTable, Figure } from "../../ui/DataTable";
import { count } from "../../ui/format";
import { EmptyNote, ErrorNote } from "../../ui/notes";
import { Ago } from "../../ui/time";

const FIRST = 6;

/** Every metric with its combinations of labels; those of which some were folded first, with samples and advice. */
export function CardinalityCard() {
  const { t } = useTranslation();
  const [every, setEvery] = useState(false);
  const metrics = useCardinality();
  if (metrics.isError) return <ErrorNote error={metrics.error} retry={() => void metrics.refetch()} />;
  const items = metrics.data?.items ?? [];
  const folded = items.filter((each) => each.folded > 0);
  const shown = every ? items : items.slice(0, Math.max(FIRST, folded.length));
  return (
    <Card title={t("measurement.cardinality")}>
      <Stack gap="sm">
        <Text size="sm" c="dimmed" maw={760}>
          {t("measurement.cardinalityHelp")}
        </Text>
        {metrics.isPending ? (
          <Loader size="sm" />
        ) : items.length === 0 ? (
          <EmptyNote>{t("measurement.noMetrics")}</EmptyNote>
        ) : (
          <>
            {folded.length === 0 && <Text size="sm">{t("measurement.allFit")}</Text>}
            <DataTable
              name="cardinality-table"
              minWidth={540}
              highlight={false}
              columns={[
                { key: "metric", title: t("measurement.metric") },
                { key: "series", title: t("measurement.series"), width: 110, narrow: 84, right: true },
                { key: "folded", title: t("measurement.folded"), width: 110, narrow: 64, right: true },
                { key: "last", title: t("measurement.last"), width: 130, right: true, wide: true },
              ]}
            >
              {shown.map((each) => (
                <MetricRow key={`${each.service} ${each.metric}`} metric={each} />
              ))}
            </DataTable>
            {shown.length < items.length && (
              <Group>
                <Button variant="light" size="xs" onClick={() => setEvery(true)}>
                  {t("funnel.showAll", { count: items.length })}
                </Button>
              </Group>
            )}
          </>
        )}
      </Stack>
    </Card>
  );
}

function MetricRow({ metric }: { metric: LabelBudget }) {
  const { t } = useTranslation();
  const advice = Object.entries(metric.advice);
  return (
    <Table.Tr data-metric={metric.metric} data-folded={metric.folded > 0}>
      <Table.Td>
        <Text size="sm" className="mono" fw={500} style={{ overflowWrap: "anywhere" }}>
          {metric.metric}
        </Text>
        <Text size="xs" c="dimmed" truncate title={metric.labels.join(", ")}>
          {[metric.service, t(`measurement.kinds.${metric.kind}`, { defaultValue: metric.kind }), metric.labels.join(", ")].filter(Boolean).join(" · ")}
        </Text>
        {metric.folded > 0 && (
          <Stack gap={4} mt={4}>
            {advice.length === 0 && <Text size="sm">{t("measurement.tooMany")}</Text>}
            {advice.map(([label, kind]) => (
              <Text key={label} size="sm" data-testid="advice">
                {t("measurement.holdsId", { label, kind: t(`measurement.ids.${kind}`, { defaultValue: kind }) })}
              </Text>
            ))}
            <Group gap={4}>
              {metric.samples.map((sample, index) => (
                <Badge key={index} variant="default" size="sm" radius="sm" tt="none" fw={400} className="mono" maw="100%">
                  {Object.entries(sample)
                    .map(([label, value]) => `${label}=${value}`)
                    .join(" ")}
                </Badge>
              ))}
            </Group>
          </Stack>
        )}
      </Table.Td>
      <Figure>{count(metric.series)}</Figure>
      <Figure>
        <Text size="sm" component="span" c={metric.folded > 0 ? "red" : "dimmed"} fw={metric.folded > 0 ? 600 : undefined}>
          {count(metric.folded)}
        </Text>
      </Figure>
      <Table.Td ta="right">
        <Text size="sm" c="dimmed" component="span" style={{ whiteSpace: "nowrap" }}>
          <Ago at={metric.last_at} />
        </Text>
      </Table.Td>
    </Table.Tr>
  );
}
