import { Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { useGaps } from "../../api/queries";
import { deafSeconds } from "../../signals/bands";
import { relativeSeconds, seconds } from "../../ui/format";
import { Clock, useNow } from "../../ui/time";
import { reasonText } from "../../ui/reason";

/** The most gaps that are listed one by one; the newest come first. */
const MOST = 20;

/** Says that a list is of a period in which something could not be heard, and when that was. */
export function GapNote({ since }: { since: string | undefined }) {
  const { t } = useTranslation();
  const nowMs = useNow();
  const gaps = useGaps(since);
  const items = gaps.data?.items ?? [];
  if (items.length === 0) return null;
  const now = nowMs / 1000;
  const deaf = deafSeconds(items, since === undefined ? 0 : now - relativeSeconds(since), now);
  return (
    <Text component="details" size="sm" c="dimmed" mb="xs" data-testid="gap-note">
      <summary style={{ cursor: "pointer" }}>
        <span className="hatched" aria-hidden /> {t("gap.note", { count: items.length, time: seconds(Math.max(1, Math.round(deaf))) })}
      </summary>
      <ul style={{ margin: "4px 0", paddingInlineStart: 24 }}>
        {items.slice(0, MOST).map((gap) => (
          <li key={`${gap.source} ${gap.started_at}`} style={{ overflowWrap: "anywhere" }}>
            {gap.source}: <Clock at={gap.started_at} /> – {gap.ended_at === null ? t("gap.now") : <Clock at={gap.ended_at} />} {reasonText(t, gap)}
          </li>
        ))}
      </ul>
    </Text>
  );
}
