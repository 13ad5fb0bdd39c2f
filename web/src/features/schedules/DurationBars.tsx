import { Box, Group, Text, Tooltip } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { ScheduleSlot } from "../../api/queries";
import { clock, seconds } from "../../ui/format";
import { reasonText } from "../../ui/reason";

const HEIGHT = 120;

/** How long the schedule's own runs took, one bar for each due time, the newest at the right. */
export function DurationBars({ slots }: { slots: readonly ScheduleSlot[] }) {
  const { t, i18n } = useTranslation();
  const times = slots.flatMap((slot) => (slot.duration_s === null ? [] : [slot.duration_s]));
  if (times.length === 0) return <Text size="sm" c="dimmed">{t("schedule.noDurations")}</Text>;
  const longest = Math.max(...times);
  return (
    <>
      <Text size="xs" c="dimmed">
        {t("schedule.longest", { time: seconds(longest) })}
      </Text>
      <Group gap={2} wrap="nowrap" align="flex-end" h={HEIGHT} role="img" aria-label={t("schedule.durations")} data-testid="durations">
        {[...slots].reverse().map((slot) => (
          <Tooltip
            key={slot.at}
            label={[clock(slot.at, i18n.language), slot.duration_s === null ? t(`schedule.states.${slot.verdict}`) : seconds(slot.duration_s), reasonText(t, slot)]
              .filter(Boolean)
              .join(" · ")}
          >
            {slot.duration_s === null ? (
              <Box flex="1 1 0" maw={14} h={slot.verdict === "unknown" ? HEIGHT : 2} className={slot.verdict === "unknown" ? "hatched" : undefined} bg={slot.verdict === "unknown" ? undefined : "gray.4"} />
            ) : (
              <Box
                flex="1 1 0"
                maw={14}
                h={Math.max(2, longest > 0 ? (slot.duration_s / longest) * HEIGHT : 2)}
                bg={slot.too_fast ? "red.6" : "blue.5"}
                style={{ borderRadius: 2 }}
                data-duration={slot.duration_s}
              />
            )}
          </Tooltip>
        ))}
      </Group>
    </>
  );
}
