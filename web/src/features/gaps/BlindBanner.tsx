import { Alert, Text } from "@mantine/core";
import { IconEyeOff } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { useGaps } from "../../api/queries";
import { age, ageSeconds } from "../../ui/format";
import { useNow } from "../../ui/time";
import { reasonText } from "../../ui/reason";

/** While a source is cut off: which, since when and why. What the page shows of it may be old. */
export function BlindBanner() {
  const { t, i18n } = useTranslation();
  const nowMs = useNow();
  const gaps = useGaps("-1m");
  const open = (gaps.data?.items ?? []).filter((gap) => gap.ended_at === null);
  if (open.length === 0) return null;
  return (
    <Alert color="gray" variant="light" icon={<IconEyeOff size={18} />} title={t("gap.open")} role="status" data-testid="blind-banner">
      {open.map((gap) => (
        <Text key={gap.source} size="sm" style={{ overflowWrap: "anywhere" }}>
          {t("gap.since", { source: gap.source, age: age(ageSeconds(gap.started_at, nowMs), i18n.language) })}
          {gap.reason && (
            <Text span size="sm" c="dimmed">
              {" "}
              {reasonText(t, gap)}
            </Text>
          )}
        </Text>
      ))}
      <Text size="sm">{t("gap.meaning")}</Text>
    </Alert>
  );
}
