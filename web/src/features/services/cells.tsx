import { SegmentedControl, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { percent } from "../../ui/format";
import { WINDOWS, type Window } from "../tasks/order";

/** From this share of server errors on a figure is red. */
const BAD = 0.01;

/** Requests that a P99 and a share of server errors need to say something; the same as their signals'. */
export const LEAST_REQUESTS = 20;

/** A share of server errors; red when it is more than the signal's own threshold allows. */
export function ErrorShare({ ratio }: { ratio: number | null }) {
  const bad = ratio !== null && ratio > BAD;
  return (
    <Text size="sm" component="span" c={bad ? "red" : undefined} fw={bad ? 600 : undefined}>
      {percent(ratio)}
    </Text>
  );
}

/** Why a figure is a dash: too few requests. Nothing when it is there. */
export function useWhyNot() {
  const { t } = useTranslation();
  return (value: number | null, requests: number) =>
    value === null && requests < LEAST_REQUESTS ? t("services.fewRequests", { count: requests, least: LEAST_REQUESTS }) : undefined;
}

export function WindowChoice({ value, onChange }: { value: Window; onChange: (window: Window) => void }) {
  const { t } = useTranslation();
  return (
    <SegmentedControl
      size="xs"
      aria-label={t("tasks.window")}
      value={value}
      onChange={(chosen) => onChange(chosen as Window)}
      data={Object.keys(WINDOWS).map((each) => ({ value: each, label: t(`runs.windows.${each}`) }))}
    />
  );
}
