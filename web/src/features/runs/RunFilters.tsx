import { Box, Checkbox, Group, ScrollArea, Stack, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { count } from "../../ui/format";
import { FACETS, type Facet, type RunSearch } from "./search";

/** In the order in which a run passes through them, so that the list does not jump when counts change. */
const STATE_ORDER = ["scheduled", "queued", "started", "retrying", "succeeded", "failed", "revoked", "rejected", "lost", "dead", "stuck"];
const MOST_VALUES = 12;
/** Not a state of its own: running, and owing a sign of life. It goes with no other choice of state. */
const STUCK = "stuck";

export type Counts = Partial<Record<Facet, Record<string, number>>>;

/** One block of check boxes a facet, each with the number of runs it would leave. */
export function RunFilters({ counts, search, onChange }: { counts: Counts; search: RunSearch; onChange: (next: RunSearch) => void }) {
  const { t } = useTranslation();
  return (
    <Stack gap="md" data-testid="run-filters">
      {FACETS.map((facet) => {
        const chosen = search[facet] ?? [];
        const values = rows(facet, counts[facet] ?? {}, chosen);
        if (values.length === 0) return null;
        return (
          <Box key={facet} component="fieldset" style={{ border: 0, padding: 0, margin: 0 }}>
            <Text component="legend" size="xs" fw={600} c="dimmed" mb={4}>
              {t(`run.${facet}`)}
            </Text>
            <ScrollArea.Autosize mah={260}>
              <Stack gap={4}>
                {values.map(([value, runs]) => {
                  const name = facet === "state" ? t(`state.${value}`, { defaultValue: value }) : value || "–";
                  return (
                    <Group key={value} justify="space-between" wrap="nowrap" gap={6}>
                      <Checkbox
                        size="xs"
                        checked={chosen.includes(value)}
                        onChange={() => onChange({ ...search, [facet]: facet === "state" ? toggledState(chosen, value) : toggled(chosen, value) })}
                        label={
                          <Text size="sm" truncate maw={150} title={name}>
                            {name}
                          </Text>
                        }
                      />
                      <Text size="xs" c="dimmed" className="num" data-count={`${facet}:${value}`}>
                        {count(runs)}
                      </Text>
                    </Group>
                  );
                })}
              </Stack>
            </ScrollArea.Autosize>
          </Box>
        );
      })}
    </Stack>
  );
}

function rows(facet: Facet, counts: Record<string, number>, chosen: string[]): [string, number][] {
  // A chosen value stays visible when nothing is left of it, or it could not be taken back.
  const all = new Map(Object.entries(counts));
  for (const value of chosen) if (!all.has(value)) all.set(value, 0);
  const entries = [...all].filter(([value, runs]) => value !== "" && (runs > 0 || chosen.includes(value)));
  if (facet === "state") return entries.sort((a, b) => STATE_ORDER.indexOf(a[0]) - STATE_ORDER.indexOf(b[0]));
  return entries.sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).slice(0, MOST_VALUES);
}

function toggledState(values: string[], value: string): string[] | undefined {
  if (value === STUCK) return values.includes(STUCK) ? undefined : [STUCK];
  return toggled(values.filter((item) => item !== STUCK), value);
}

function toggled(values: string[], value: string): string[] | undefined {
  const next = values.includes(value) ? values.filter((item) => item !== value) : [...values, value];
  return next.length > 0 ? next : undefined;
}
