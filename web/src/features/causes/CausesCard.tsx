import { Accordion, Box, Group, Loader, Stack, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useCauses, type Cause, type CauseExample, type CauseQuery, type Compared } from "../../api/queries";
import { Card } from "../../ui/Card";
import { seconds } from "../../ui/format";
import { EmptyNote, ErrorNote } from "../../ui/notes";
import { Clock } from "../../ui/time";
import type { Window } from "../tasks/order";
import { GapNote } from "../gaps/GapNote";
import { BreakdownBar, BreakdownLegend } from "./BreakdownBar";
import { coloured, wholeOf, type Slice } from "./breakdown";
import { CauseList } from "./CauseList";
import { compare, evidenceOf } from "./comparison";
import { StandoutList } from "./StandoutList";
import { useSaid } from "../incidents/language";

/** Fewest that are compared; the same as on the server. */
const LEAST = { leastSlow: 5, leastTypical: 10 };

/** What was named as a cause at a time. */
export interface Told {
  at: string;
  text: string;
  text_zh: string;
}

interface CausesCardProps {
  /** An endpoint, a task, or all endpoints of a service. */
  query: CauseQuery;
  /** The period that links to endpoints carry. */
  window?: Window;
  /** The question is what the failing ones have in common, before where the time of the slow ones went. */
  failing?: boolean;
  /** What was named before, over a shorter time: it stands where comparing all of the time finds nothing. */
  told?: Told | undefined;
}

/**
 * Where the time of the slowest went: as sentences, as a picture, and with the requests or runs that show it.
 */
export function CausesCard({ query, window, failing = false, told }: CausesCardProps) {
  const { t } = useTranslation();
  const causes = useCauses(query);
  const ofService = query.endpoint === undefined && query.task === undefined;
  const compared = (causes.data?.compared ?? []).filter((one) => !ofService || one.verdict === "found" || one.standouts.length > 0);
  const answered = compared.some((one) => answers(one, failing));
  return (
    <Card title={t(failing ? "causes.failingTitle" : "causes.title")}>
      <GapNote since={query.since} of="causes" />
      {causes.isError ? (
        <ErrorNote error={causes.error} retry={() => void causes.refetch()} />
      ) : causes.isPending ? (
        <Loader size="sm" />
      ) : told && !answered ? (
        <ToldBefore told={told} />
      ) : compared.length === 0 ? (
        <EmptyNote>{t(ofService && causes.data.compared.length > 0 ? "causes.nobody" : "causes.verdicts.few")}</EmptyNote>
      ) : (
        <Stack gap="xl">
          {compared.map((one) => (
            <Finding
              key={`${one.service} ${one.endpoint} ${one.task}`}
              compared={one}
              failing={failing}
              causes={causes.data.items.filter((cause) => cause.service === one.service && cause.endpoint === one.endpoint && cause.task === one.task)}
              heading={ofService ? <EndpointName compared={one} window={window} /> : compared.length > 1 ? `${one.service} ${one.endpoint}${one.task}` : null}
            />
          ))}
        </Stack>
      )}
    </Card>
  );
}

/** Whether comparing answered the question. */
function answers(compared: Compared, failing: boolean): boolean {
  return failing ? compared.standouts.some((one) => one.among === "failing") : compared.verdict === "found" || compared.standouts.some((one) => one.among === "slow");
}

function ToldBefore({ told }: { told: Told }) {
  const { t } = useTranslation();
  const said = useSaid();
  return (
    <Stack gap={2} data-testid="told-cause">
      <Text fw={600} style={{ overflowWrap: "anywhere" }}>
        {said(told, "text")}
      </Text>
      <Text size="xs" c="dimmed">
        {t("causes.toldAt")} <Clock at={told.at} />. {t("causes.toldOnly")}
      </Text>
    </Stack>
  );
}

function EndpointName({ compared, window }: { compared: Compared; window: Window | undefined }) {
  const [method = "", ...template] = compared.endpoint.split(" ");
  return (
    <Link to="/endpoints" search={{ service: compared.service, method, endpoint: template.join(" "), ...(window ? { window } : {}) }} style={{ textDecoration: "underline" }}>
      {compared.endpoint}
    </Link>
  );
}

interface FindingProps {
  compared: Compared;
  causes: Cause[];
  heading: ReactNode;
  failing: boolean;
}

function Finding({ compared, causes, heading, failing }: FindingProps) {
  const { t } = useTranslation();
  const { verdict, parts } = compared;
  const picture = useMemo(() => compare(parts), [parts]);
  const examples = useMemo(() => evidenceOf(causes), [causes]);
  const broken = examples.map((example) => ({ example, slices: wholeOf(example.breakdown, example.duration_s - example.wait_s, example.wait_s) }));
  const colours = coloured([...picture.slow, ...broken.flatMap(({ slices }) => slices)]);
  // That nothing tells why the slow ones are slow is no answer to why others fail.
  const silent = verdict !== "found";
  const numbers = { slow: compared.slow, typical: compared.typical };
  return (
    <Stack gap="sm">
      {heading && (
        <Text fw={600} size="sm">
          {heading}
        </Text>
      )}
      {failing && (answers(compared, true) ? <StandoutList standouts={compared.standouts} titled /> : <Text size="sm">{t("causes.alikeFailing")}</Text>)}
      {failing && silent ? null : (
        <>
          {failing && (
            <Text size="xs" fw={600} c="dimmed" mt="xs">
              {t("causes.title")}
            </Text>
          )}
          {verdict === "found" ? (
            <CauseList causes={causes} colours={colours} />
          ) : (
            <Text size="sm" c="dimmed" data-testid="causes-verdict" data-verdict={verdict}>
              {t(`causes.verdicts.${verdict}`)}{" "}
              {verdict === "few"
                ? t("causes.seen", { ...numbers, ...LEAST })
                : t("causes.means", { slow: seconds(compared.slow_mean_s), typical: seconds(compared.typical_mean_s) })}
            </Text>
          )}
          {!(failing && answers(compared, true)) && <StandoutList standouts={compared.standouts} />}
          {parts.length > 0 && (
            <Box data-testid="causes-picture">
              {(["slow", "typical"] as const).map((kind) => (
                <Labelled key={kind} name={t(`causes.${kind}`)} time={seconds(compared[`${kind}_mean_s`])}>
                  <BreakdownBar slices={picture[kind]} scale_s={picture.scale_s} colours={colours} height={22} />
                </Labelled>
              ))}
              <Group justify="space-between" wrap="wrap" gap="xs">
                <BreakdownLegend slices={picture.slow.filter((slice, at) => slice.covered_s > 0 || (picture.typical[at]?.covered_s ?? 0) > 0)} colours={colours} />
                <Text size="xs" c="dimmed" mt={6}>
                  {t("causes.compared", numbers)} {compared.cutoff_s === null ? "" : t("causes.cutoff", { cutoff: seconds(compared.cutoff_s) })}
                </Text>
              </Group>
            </Box>
          )}
          <Evidence broken={broken} colours={colours} ofTask={compared.task !== ""} named={new Set(picture.slow.map((slice) => slice.key))} />
        </>
      )}
    </Stack>
  );
}

interface EvidenceProps {
  broken: { example: CauseExample; slices: Slice[] }[];
  colours: Map<string, string>;
  ofTask: boolean;
  /** What the picture above names already. */
  named: Set<string>;
}

function Evidence({ broken, colours, ofTask, named }: EvidenceProps) {
  const { t } = useTranslation();
  if (broken.length === 0) return null;
  const longest = Math.max(...broken.map(({ example }) => example.duration_s));
  const more = broken.flatMap(({ slices }) => slices).filter((slice) => !named.has(slice.key));
  const legend = [...new Map(more.map((slice) => [slice.key, slice])).values()].slice(0, 8);
  return (
    <Accordion variant="filled" chevronPosition="left">
      <Accordion.Item value="evidence">
        <Accordion.Control>
          <Text size="sm">{t(ofTask ? "causes.evidenceRuns" : "causes.evidence", { count: broken.length })}</Text>
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
                    <Link to="/requests/$requestId" params={{ requestId: example.id }} style={{ textDecoration: "underline" }}>
                      <Clock at={example.at} />
                    </Link>
                  )
                }
                time={seconds(example.duration_s)}
                note={[example.status ? String(example.status) : "", ...Object.values(example.labels), example.trace_id].filter(Boolean).join(" · ")}
              >
                <BreakdownBar slices={slices} scale_s={longest} colours={colours} />
              </Labelled>
            ))}
            {legend.length > 0 && <BreakdownLegend slices={legend} colours={colours} />}
          </Stack>
        </Accordion.Panel>
      </Accordion.Item>
    </Accordion>
  );
}

function Labelled({ name, time, note, children }: { name: ReactNode; time: string; note?: string; children: ReactNode }) {
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
