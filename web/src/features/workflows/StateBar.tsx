import { Progress, Tooltip } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { STATE_COLOR } from "../../app/theme";
import { count } from "../../ui/format";

/** What is over first, then what goes on. */
const ORDER = ["succeeded", "failed", "dead", "lost", "rejected", "revoked", "retrying", "started", "queued", "scheduled"];

/** How many runs are in each state, as one bar. */
export function StateBar({ states, total, size = "sm" }: { states: Record<string, number>; total: number; size?: string }) {
  const { t } = useTranslation();
  const present = ORDER.filter((state) => (states[state] ?? 0) > 0);
  const text = present.map((state) => `${t(`state.${state}`)} ${count(states[state] ?? 0)}`).join(" · ");
  return (
    <Tooltip label={text} disabled={!text}>
      <Progress.Root size={size} aria-label={text} radius="sm">
        {present.map((state) => (
          <Progress.Section key={state} value={(100 * (states[state] ?? 0)) / Math.max(1, total)} color={STATE_COLOR[state] ?? "gray"} />
        ))}
      </Progress.Root>
    </Tooltip>
  );
}
