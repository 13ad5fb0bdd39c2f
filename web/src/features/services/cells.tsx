import { SegmentedControl, Table, Text } from "@mantine/core";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { percent } from "../../ui/format";
import { WINDOWS, type Window } from "../tasks/order";

/** From this share of server errors on a figure is red. */
const BAD = 0.01;

export function Figure({ children }: { children: ReactNode }) {
  return (
    <Table.Td ta="right" className="num">
      {children}
    </Table.Td>
  );
}

/** A share of server errors; red when it is more than the signal's own threshold allows. */
export function ErrorShare({ ratio }: { ratio: number | null }) {
  const bad = ratio !== null && ratio > BAD;
  return (
    <Text size="sm" component="span" c={bad ? "red" : undefined} fw={bad ? 600 : undefined}>
      {percent(ratio)}
    </Text>
  );
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
