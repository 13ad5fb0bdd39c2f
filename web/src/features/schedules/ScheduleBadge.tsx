import { Badge, Tooltip } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { Schedule } from "../../api/queries";
import { VERDICT_COLOR } from "./verdicts";

/** What became of the latest due time, or that the scheduler is dead. */
export function ScheduleBadge({ schedule, size = "sm" }: { schedule: Schedule; size?: string }) {
  const { t } = useTranslation();
  const state = schedule.enabled ? schedule.state : null;
  const name = schedule.enabled ? (state ?? "waiting") : "paused";
  return (
    <Tooltip label={t(`schedule.help.${name}`)} multiline maw={280}>
      <Badge color={state ? VERDICT_COLOR[state] : "gray"} variant="light" size={size} radius="sm" tt="none" data-schedule-state={name} style={{ flexShrink: 0 }}>
        {t(`schedule.states.${name}`)}
      </Badge>
    </Tooltip>
  );
}
