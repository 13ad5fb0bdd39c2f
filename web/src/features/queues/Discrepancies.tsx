import { Group, Stack, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useLedger } from "../../api/queries";
import { Card } from "../../ui/Card";
import { Ago } from "../../ui/time";
import { reasonText } from "../../ui/reason";

/** The most runs that are named of one kind and queue. */
const MOST = 10;

/** The runs of the last hour that keep a queue from adding up, by name. Nothing when all queues do. */
export function Discrepancies() {
  const { t } = useTranslation();
  const ledger = useLedger();
  const queues = (ledger.data?.items ?? []).filter((entry) => entry.vanished.length + entry.doubled.length > 0);
  if (queues.length === 0) return null;
  return (
    <Card title={t("queue.discrepancies")}>
      <Stack gap="xs" data-testid="discrepancies">
        {queues.map((entry) =>
          (["vanished", "doubled"] as const).map((kind) =>
            entry[kind].slice(0, MOST).map((run) => (
              <Group key={`${entry.framework} ${entry.queue} ${kind} ${run.run_id}`} gap="xs" wrap="wrap">
                <Text size="sm" fw={500}>
                  {entry.queue}
                </Text>
                <Text size="sm" c="orange">
                  {t(`queue.${kind}`)}
                </Text>
                <Link to="/runs/$runId" params={{ runId: run.run_id }}>
                  <Text size="sm" className="num">
                    {run.run_id}
                  </Text>
                </Link>
                <Text size="sm" c="dimmed">
                  <Ago at={run.at} /> · {reasonText(t, run)}
                </Text>
              </Group>
            )),
          ),
        )}
      </Stack>
    </Card>
  );
}
