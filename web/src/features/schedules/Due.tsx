import { Tooltip } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { age, clock } from "../../ui/format";
import { useNow } from "../../ui/time";

/** What is started within this time is on time (`LATE_S` of the server), and news of it takes a moment. */
const ON_TIME_S = 5;

/** "in 5 min", or how long it is overdue; the exact time on hover. */
export function Due({ at }: { at: string | null }) {
  const { t, i18n } = useTranslation();
  const now = useNow();
  if (!at) return <>–</>;
  const left = (Date.parse(at) - now) / 1000;
  const text =
    left > -ON_TIME_S && left < 1.5
      ? t("schedule.dueNow")
      : t(left > 0 ? "schedule.dueIn" : "schedule.overdue", { age: age(Math.abs(left), i18n.language) });
  return (
    <Tooltip label={clock(at, i18n.language)} openDelay={300}>
      <span className="num">{text}</span>
    </Tooltip>
  );
}
