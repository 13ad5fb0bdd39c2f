import { Badge, Box, Group, Stack, Text, Tooltip } from "@mantine/core";
import type { TFunction } from "i18next";
import { useTranslation } from "react-i18next";
import { STATE_COLOR } from "../../app/theme";
import type { Attempt, Run } from "../../api/queries";
import { bytes, clock, seconds } from "../../ui/format";
import { StateBadge } from "../../ui/StateBadge";
import { useNarrow } from "../../ui/narrow";
import { useNow } from "../../ui/time";

/** Every attempt as a bar on one scale, from being enqueued to the last end, with the waits between them. */
export function AttemptTimeline({ run }: { run: Run }) {
  const { t, i18n } = useTranslation();
  const nowMs = useNow();
  const narrow = useNarrow();
  const attempts = run.attempts;
  const times = [run.enqueued_at, run.started_at, ...attempts.flatMap((a) => [a.started_at, a.finished_at])]
    .filter((at): at is string => Boolean(at))
    .map((at) => Date.parse(at));
  if (times.length === 0) return null;
  const running = attempts.some((attempt) => attempt.state === "started");
  const from = Math.min(...times);
  const to = Math.max(...times, running ? nowMs : 0, from + 1);
  const place = (at: number) => ((at - from) / (to - from)) * 100;
  return (
    <Stack gap={6} data-testid="attempt-timeline">
      {attempts.map((attempt) => {
        const { start, end } = bounds(attempt, from, nowMs);
        const left = place(start);
        return (
          <Group key={attempt.number} gap={narrow ? "2px sm" : "sm"} wrap={narrow ? "wrap" : "nowrap"}>
            <Text size="xs" c="dimmed" w={84} style={{ flexShrink: 0 }}>
              {t("run.attempt", { number: attempt.number })}
            </Text>
            <Box style={{ position: "relative", flex: narrow ? "1 0 100%" : 1, order: narrow ? 1 : 0, height: 22, minWidth: 32 }}>
              <Box style={{ position: "absolute", inset: "10px 0", borderTop: "1px dashed light-dark(#dee2e6, #373a40)" }} />
              <Tooltip
                label={`${clock(new Date(start).toISOString(), i18n.language)} · ${seconds(attempt.duration_s ?? (end - start) / 1000)} · ${attempt.worker}${taken(attempt, t)}`}
              >
                <Box
                  data-attempt={attempt.number}
                  className={attempt.state === "started" ? "pulse" : undefined}
                  style={{
                    position: "absolute",
                    left: `${left}%`,
                    width: `max(6px, ${Math.max(0, place(end) - left)}%)`,
                    maxWidth: `calc(100% - min(${left}%, 100% - 6px))`,
                    transform: left > 99 ? "translateX(-6px)" : undefined,
                    top: 3,
                    height: 16,
                    borderRadius: 4,
                    background: `var(--mantine-color-${STATE_COLOR[attempt.state] ?? "gray"}-filled)`,
                  }}
                />
              </Tooltip>
            </Box>
            <Box w={narrow ? undefined : 330} style={{ flexShrink: 0 }}>
              <Group gap={6} wrap="nowrap">
                <StateBadge state={attempt.state} evidence={attempt.evidence} />
                <Text size="xs" className="num">
                  {seconds(attempt.duration_s ?? (attempt.state === "started" ? Math.floor((end - start) / 1000) : null))}
                </Text>
                {attempt.duplicate && (
                  <Badge size="xs" color="orange" variant="light" tt="none" style={{ flexShrink: 0 }}>
                    {t("run.duplicate")}
                  </Badge>
                )}
                <Text size="xs" c="dimmed" className="num" truncate visibleFrom="sm" data-testid="attempt-taken">
                  {taken(attempt, t).slice(3)}
                </Text>
              </Group>
            </Box>
          </Group>
        );
      })}
      <Group justify="space-between" pl={narrow ? 0 : 96} pr={narrow ? 0 : 342} wrap="nowrap">
        <Text size="xs" c="dimmed" className="num">
          {clock(new Date(from).toISOString(), i18n.language)}
        </Text>
        <Text size="xs" c="dimmed" className="num">
          {seconds((to - from) / 1000)}
        </Text>
      </Group>
    </Stack>
  );
}

/** What it took of its process, as far as that is known. */
function taken(attempt: Attempt, t: TFunction): string {
  const cpu = attempt.cpu_s === null ? "" : ` · ${t("run.cpu", { time: seconds(attempt.cpu_s) })}`;
  const memory = attempt.peak_memory_bytes === null ? "" : ` · ${t("run.peakMemory", { size: bytes(attempt.peak_memory_bytes) })}`;
  return cpu + memory;
}

function bounds(attempt: Attempt, from: number, nowMs: number): { start: number; end: number } {
  const started = attempt.started_at ? Date.parse(attempt.started_at) : null;
  const finished = attempt.finished_at ? Date.parse(attempt.finished_at) : null;
  const start = started ?? finished ?? from;
  return { start, end: Math.max(start, finished ?? (attempt.state === "started" ? nowMs : start)) };
}
