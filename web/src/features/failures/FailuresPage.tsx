import { Group, Loader, SegmentedControl, Stack, Title } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useFailures } from "../../api/queries";
import { Card } from "../../ui/Card";
import { EmptyNote, ErrorNote } from "../../ui/notes";
import { BlindBanner } from "../gaps/BlindBanner";
import { GapNote } from "../gaps/GapNote";
import { PERIODS, type Period } from "../runs/search";
import { FailureList } from "./FailureList";

export function FailuresPage() {
  const { t } = useTranslation();
  const [period, setPeriod] = useState<Period>("d1");
  const failures = useFailures(PERIODS[period], 100);
  return (
    <Stack>
      <Group justify="space-between">
        <Title order={1} fz="xl">
          {t("failures.title")}
        </Title>
        <SegmentedControl
          size="xs"
          aria-label={t("runs.window")}
          value={period}
          onChange={(value) => setPeriod(value as Period)}
          data={Object.keys(PERIODS).map((value) => ({ value, label: t(`runs.windows.${value}`) }))}
        />
      </Group>
      <BlindBanner />
      <Card label={t("failures.title")}>
        <GapNote since={PERIODS[period]} of="failures" />
        {failures.isError ? (
          <ErrorNote error={failures.error} retry={() => void failures.refetch()} />
        ) : failures.isPending ? (
          <Loader size="sm" />
        ) : failures.data.items.length === 0 ? (
          <EmptyNote>{t("failures.none")}</EmptyNote>
        ) : (
          <FailureList groups={failures.data.items} />
        )}
      </Card>
    </Stack>
  );
}
