import { Box, Group, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { Cause } from "../../api/queries";
import { percent, seconds } from "../../ui/format";
import { useSaid } from "../incidents/language";
import { OWN, keyOf } from "./breakdown";

/** The causes, the greatest first and largest: the share, the sentence, and the figures behind it. */
export function CauseList({ causes, colours }: { causes: Cause[]; colours: Map<string, string> }) {
  const { t } = useTranslation();
  const said = useSaid();
  return (
    <Box component="ol" m={0} p={0} style={{ listStyle: "none", display: "grid", gap: 10 }} data-testid="causes">
      {causes.map((cause, position) => {
        const key = keyOf(cause.component, cause.operation, cause.target);
        const first = position === 0;
        const figures: [string, string][] = [
          [t("causes.inSlow"), seconds(cause.slow_s)],
          [t("causes.inTypical"), seconds(cause.typical_s)],
          // Alone it may be of the slow ones, which the two above say already.
          ...(cause.others_p99_s === null
            ? []
            : ([
                [t("causes.ownP99"), seconds(cause.p99_s)],
                [t("causes.othersP99"), seconds(cause.others_p99_s)],
              ] as [string, string][])),
        ];
        return (
          <Group component="li" key={key} gap="sm" wrap="nowrap" align="flex-start" data-cause={key}>
            <Box w={78} style={{ flexShrink: 0 }}>
              <Text fw={700} fz={first ? "xl" : "sm"} lh={1.3} ta="right" className="num" style={{ whiteSpace: "nowrap" }} c={first ? "fire" : "dimmed"}>
                {percent(cause.share)}
              </Text>
              <Box className="breakdown-bar" style={{ height: 5 }} aria-hidden>
                <Box style={{ width: `${100 * cause.share}%`, background: colours.get(cause.component === OWN ? OWN : key) ?? "#868e96" }} />
              </Box>
            </Box>
            <div>
              <Text size={first ? "md" : "sm"} fw={first ? 600 : 400} style={{ overflowWrap: "anywhere" }}>
                {said(cause, "sentence")}
              </Text>
              <Group gap="2px 16px" component="dl" m={0} mt={2}>
                {figures.map(([name, value]) => (
                  <Text key={name} size="xs" c="dimmed" component="div">
                    <dt style={{ display: "inline" }}>{name}</dt>{" "}
                    <dd style={{ display: "inline", margin: 0 }} className="num">
                      {value}
                    </dd>
                  </Text>
                ))}
              </Group>
            </div>
          </Group>
        );
      })}
    </Box>
  );
}
