import { Box, Group, Tooltip } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { ScheduleSlot } from "../../api/queries";
import { clock, seconds } from "../../ui/format";
import { VERDICT_COLOR } from "./verdicts";
import { reasonText } from "../../ui/reason";

/** The latest due times as ticks, the newest at the right. */
export function SlotStrip({ slots }: { slots: readonly ScheduleSlot[] }) {
  const { t, i18n } = useTranslation();
  const bad = slots.filter((slot) => slot.verdict !== "ok").length;
  return (
    <Group gap={2} wrap="nowrap" role="img" aria-label={t("schedule.strip", { count: slots.length, bad })}>
      {slots.map((slot) => (
        <Tooltip
          key={slot.at}
          label={[clock(slot.at, i18n.language), t(`schedule.states.${slot.verdict}`), slot.late_s ? `+${seconds(slot.late_s)}` : "", reasonText(t, slot)]
            .filter(Boolean)
            .join(" · ")}
        >
          <Box w={5} h={18} bg={`var(--mantine-color-${VERDICT_COLOR[slot.verdict]}-6)`} style={{ borderRadius: 2 }} data-verdict={slot.verdict} />
        </Tooltip>
      ))}
    </Group>
  );
}
