import { Box, Group, Stack, Text } from "@mantine/core";
import { IconArrowDown } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import type { Funnel } from "../../api/queries";
import { Card } from "../../ui/Card";
import { count, percent } from "../../ui/format";
import { barsOf } from "./bars";

/** One funnel: a bar for each step, and between them how many were lost. */
export function FunnelCard({ funnel }: { funnel: Funnel }) {
  const { t } = useTranslation();
  const last = funnel.steps[funnel.steps.length - 1];
  return (
    <Card
      label={funnel.funnel}
      title={
        <Text component="span" inherit style={{ overflowWrap: "anywhere" }}>
          {funnel.funnel} · {funnel.service}
        </Text>
      }
      aside={
        <Text fw={700} fz="lg" className="num" title={t("funnel.whole")}>
          {percent(last?.conversion)}
        </Text>
      }
    >
      <Stack gap={4} component="ol" p={0} m={0} style={{ listStyle: "none" }} data-funnel={funnel.funnel}>
        {barsOf(funnel.steps).map((bar, index) => (
          <li key={bar.step} data-step={bar.step}>
            {index > 0 && (
              <Group gap={4} pl={4} wrap="nowrap" my={2}>
                <IconArrowDown size={13} aria-hidden />
                <Text size="xs" c={bar.worst ? "red" : "dimmed"} fw={bar.worst ? 600 : undefined} className="num" data-testid="lost">
                  {bar.dropped === 0 ? t("funnel.nobodyLost") : t("funnel.lost", { count: bar.dropped, share: percent(bar.lost) })}
                  {bar.worst ? ` · ${t("funnel.worst")}` : ""}
                </Text>
              </Group>
            )}
            <Group justify="space-between" wrap="nowrap" gap="sm">
              <Text size="sm" fw={500} truncate title={bar.step}>
                {bar.step}
              </Text>
              <Text size="sm" className="num" style={{ whiteSpace: "nowrap" }}>
                {count(bar.reached)}{" "}
                <Text span c="dimmed" size="xs">
                  {percent(bar.conversion)}
                </Text>
              </Text>
            </Group>
            <Box h={16} mt={2} bg="var(--mantine-color-default-border)" style={{ borderRadius: 4, overflow: "hidden" }} aria-hidden>
              <Box h="100%" w={`${bar.width}%`} bg="var(--mantine-primary-color-filled)" style={{ opacity: 1 - Math.min(index, 5) * 0.12 }} />
            </Box>
          </li>
        ))}
      </Stack>
    </Card>
  );
}
