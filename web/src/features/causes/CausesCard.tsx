import { Accordion, Box, Group, Loader, Stack, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useCauses, type Cause, type CauseQuery, type Compared } from "../../api/queries";
import { Card } from "../../ui/Card";
import { percent, seconds } from "../../ui/format";
import { EmptyNote, ErrorNote } from "../../ui/notes";
import { Clock } from "../../ui/time";
import { BreakdownBar, BreakdownLegend } from "./BreakdownBar";
import { breakdownOf, coloured, type Slice } from "./breakdown";
import { compare } from "./comparison";

/** Where the time of the slowest went: as sentences, as a picture, and with the requests or runs that show it. */
export function CausesCard({ query }: { query: CauseQuery }) {
  const { t } = useTranslation();
  const causes = useCauses(query);
  return (
    <Card title={t("causes.title")}>
      {causes.isError ? (
        <ErrorNote error={causes.error} retry={() => void causes.refetch()} />
      ) : causes.isPending ? (
        <Loader size="sm" />
      ) : causes.data.compared.length === 0 ? (
        <EmptyNote>{t("causes.verdicts.few")}</EmptyNote>
      ) : (
        <Stack gap="lg">
          {causes.data.compared.map((compared) => (
            <Finding
              key={`${compared.service} ${compared.endpoint} ${compared.task}`}
              compared={compared}
              causes={causes.data.items.filter((one) => one.service === compared.service && one.endpoint === compared.endpoint && one.task === compared.task)}
            />
          ))}
        </Stack>
      )}
    </Card>
  );
}

function Finding({ compared, causes }: { compared: Compared; causes: Cause[] }) {
  const { t, i18n } = useTranslation();
  if (compared.verdict !== "found") {
    return (
      <Text size="sm" c="dimmed" data-testid="causes-verdict" data-verdict={compared.verdict}>
        {t(`causes.verdicts.${compared.verdict}`)}
        {compared.slow > 0 && compared.verdict !== "few" ? ` ${t("causes.compared", { slow: compared.slow, typical: compared.typical })}` : ""}
      </Text>
    );
  }
  return (
    <Stack gap="sm">
      <Stack gap={6} component="ol" m={0} p={0} style={{ listStyle: "none" }} data-testid="causes">
        {causes.map((cause, position) => (
          <Group component="li" key={`${cause.component} ${cause.operation} ${cause.target}`} gap="sm" wrap="nowrap" align="baseline" data-cause={`${cause.component}|${cause.operation}|${cause.target}`}>
            <Text fw={700} fz={position === 0 ? "xl" : "sm"} w={78} ta="right" className="num" style={{ flexShrink: 0, whiteSpace: "nowrap" }} c={position === 0 ? "fire" : "dimmed"}>
              {percent(cause.share)}
            </Text>
            <Text size={position === 0 ? "md" : "sm"} fw={position === 0 ? 600 : 400} style={{ overflowWrap: "anywhere" }}>
              {i18n.language === "zh" ? cause.sentence_zh : cause.sentence}
            </Text>
          </Group>
        ))}
      </Stack>
      <Picture compared={compared} causes={causes} />
      <Evidence causes={causes} ofTask={compared.task !== ""} />
    </Stack>
  );
}

function Picture({ compared, causes }: { compared: Compared; causes: Cause[] }) {
  const { t } = useTranslation();
  const { slow, typical, scale_s } = useMemo(() => compare(compared, causes), [compared, causes]);
  const colours = coloured(slow);
  return (
    <Box>
      <Labelled name={t("causes.slow")} time={seconds(compared.slow_mean_s)}>
        <BreakdownBar slices={slow} scale_s={scale_s} colours={colours} height={22} />
      </Labelled>
      <Labelled name={t("causes.typical")} time={seconds(compared.typical_mean_s)}>
        <BreakdownBar slices={typical} scale_s={scale_s} colours={colours} height={22} />
      </Labelled>
      <Group justify="space-between" wrap="wrap">
        <BreakdownLegend slices={slow} colours={colours} />
        <Text size="xs" c="dimmed" mt={6}>
          {t("causes.compared", { slow: compared.slow, typical: compared.typical })}
        </Text>
      </Group>
    </Box>
  );
}

function Evidence({ causes, ofTask }: { causes: Cause[]; ofTask: boolean }) {
  const { t } = useTranslation();
  const examples = [...new Map(causes.flatMap((cause) => cause.evidence).map((one) => [one.id, one])).values()];
  if (examples.length === 0) return null;
  const broken = examples.map((example) => ({ example, slices: breakdownOf(example.breakdown)?.slices ?? ([] as Slice[]) }));
  const colours = coloured(broken.flatMap(({ slices }) => slices));
  const longest = Math.max(...examples.map((example) => example.duration_s));
  const legend = [...new Map(broken.flatMap(({ slices }) => slices).map((slice) => [slice.key, slice])).values()].slice(0, 8);
  return (
    <Accordion variant="filled" chevronPosition="left">
      <Accordion.Item value="evidence">
        <Accordion.Control>
          <Text size="sm">{t(ofTask ? "causes.evidenceRuns" : "causes.evidence", { count: examples.length })}</Text>
        </Accordion.Control>
        <Accordion.Panel>
          <Stack gap={6} data-testid="causes-evidence">
            {broken.map(({ example, slices }) => (
              <Labelled
                key={example.id}
                name={
                  ofTask ? (
                    <Link to="/runs/$runId" params={{ runId: example.id }} style={{ textDecoration: "underline" }}>
                      <Clock at={example.at} />
                    </Link>
                  ) : (
                    <Clock at={example.at} />
                  )
                }
                time={seconds(example.duration_s)}
                note={[example.status ? String(example.status) : "", ...Object.values(example.labels), example.trace_id].filter(Boolean).join(" · ")}
              >
                <BreakdownBar slices={slices} scale_s={longest} colours={colours} />
              </Labelled>
            ))}
            <BreakdownLegend slices={legend} colours={colours} />
          </Stack>
        </Accordion.Panel>
      </Accordion.Item>
    </Accordion>
  );
}

function Labelled({ name, time, note, children }: { name: React.ReactNode; time: string; note?: string; children: React.ReactNode }) {
  return (
    <Group gap="sm" wrap="nowrap" mb={4}>
      <Box w={{ base: 88, sm: 128 }} style={{ flexShrink: 0 }}>
        <Text size="xs" c="dimmed" truncate>
          {name}
        </Text>
      </Box>
      <Text size="xs" w={64} ta="right" className="num" style={{ flexShrink: 0 }}>
        {time}
      </Text>
      <Box style={{ flex: 1, minWidth: 60 }}>{children}</Box>
      {note !== undefined && (
        <Text size="xs" c="dimmed" w={220} truncate title={note} visibleFrom="md" style={{ flexShrink: 0 }}>
          {note}
        </Text>
      )}
    </Group>
  );
}
