import { Badge, Tooltip } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { STATE_COLOR } from "../app/theme";

/** A state or level in its colour; how it is known shows when it was not simply reported. */
export function StateBadge({ state, evidence, size = "sm" }: { state: string; evidence?: string; size?: string }) {
  const { t } = useTranslation();
  const badge = (
    <Badge color={STATE_COLOR[state] ?? "gray"} variant="light" size={size} radius="sm" data-state={state} tt="none" style={{ flexShrink: 0, minWidth: "max-content" }}>
      {t(`state.${state}`, { defaultValue: state })}
      {evidence && evidence !== "reported" ? " ?" : ""}
    </Badge>
  );
  if (!evidence || evidence === "reported") return badge;
  return <Tooltip label={t(`run.evidence.${evidence}`)}>{badge}</Tooltip>;
}
