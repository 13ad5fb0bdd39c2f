import { Badge, Box, Group, Stack, Text, ThemeIcon, Title } from "@mantine/core";
import { IconAlertTriangle, IconCircleCheck, IconEyeOff } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { STATE_COLOR } from "../../app/theme";
import type { Overview } from "../../api/queries";
import { age, ageSeconds, count, percent } from "../../ui/format";
import { useNow } from "../../ui/time";
import { useSaid } from "../incidents/language";

/** The first thing a person reads: all well, or what is wrong. */
export function Verdict({ overview }: { overview: Overview }) {
  const { t, i18n } = useTranslation();
  const said = useSaid();
  const nowMs = useNow();
  const { level, open_incidents: incidents } = overview.verdict;
  const color = STATE_COLOR[level] ?? "gray";
  const Icon = level === "ok" ? IconCircleCheck : level === "blind" ? IconEyeOff : IconAlertTriangle;
  const quiet = level === "ok" && overview.totals.runs_per_minute === 0 && overview.workers.up === 0;
  return (
    <Box
      className="card"
      component="section"
      p="lg"
      data-testid="verdict"
      data-level={level}
      aria-live="polite"
      style={{ borderLeft: `5px solid var(--mantine-color-${color}-filled)` }}
    >
      <Group align="flex-start" wrap="nowrap">
        <ThemeIcon color={color} variant="light" size={44} radius="xl">
          <Icon size={26} />
        </ThemeIcon>
        <Stack gap={6} style={{ flex: 1, minWidth: 0 }}>
          <Title order={1} fz={24}>
            {quiet ? t("verdict.quiet") : level === "ok" || level === "blind" ? t(`verdict.${level}`) : t(`verdict.${level}`, { count: incidents.length })}
          </Title>
          {incidents.length === 0 && (
            <Text c="dimmed">
              {quiet
                ? t("verdict.quietText")
                : level === "ok"
                  ? t("verdict.okText", {
                      rate: count(overview.totals.runs_per_minute),
                      ratio: percent(overview.totals.failure_ratio ?? 0),
                      count: overview.workers.up,
                    })
                  : said(overview.verdict, "text")}
            </Text>
          )}
          {incidents.slice(0, 5).map((incident) => (
            <Group key={incident.id} gap="xs" wrap="wrap">
              <Badge color={STATE_COLOR[incident.level]} size="sm" tt="none">
                {t(`state.${incident.level}`)}
              </Badge>
              <Link to="/incidents/$incidentId" params={{ incidentId: String(incident.id) }}>
                <Text fw={600}>{said(incident, "title")}</Text>
              </Link>
              <Text size="sm" c="dimmed">
                {t("verdict.since", { age: age(ageSeconds(incident.opened_at, nowMs), i18n.language) })}
                {incident.state === "acknowledged" ? ` · ${t("verdict.acknowledgedBy", { by: incident.acknowledged_by })}` : ""}
              </Text>
            </Group>
          ))}
        </Stack>
        <Figures overview={overview} />
      </Group>
    </Box>
  );
}

function Figures({ overview }: { overview: Overview }) {
  const { t } = useTranslation();
  const figures: [string, string][] = [
    [t("overview.active"), count(overview.totals.active)],
    [t("overview.queued"), count(overview.totals.queued)],
    [t("overview.workersUp"), count(overview.workers.up)],
    ...(overview.workers.down > 0 ? ([[t("overview.workersDown"), count(overview.workers.down)]] as [string, string][]) : []),
  ];
  return (
    <Group gap="xl" visibleFrom="md" wrap="nowrap">
      {figures.map(([name, value]) => (
        <Box key={name} ta="right">
          <Text fz={22} fw={700} className="num" lh={1.1}>
            {value}
          </Text>
          <Text size="xs" c="dimmed">
            {name}
          </Text>
        </Box>
      ))}
    </Group>
  );
}
