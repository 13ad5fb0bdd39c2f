import { Box, Stack, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { Standout } from "../../api/queries";
import { percent } from "../../ui/format";
import { useSaid } from "../incidents/language";

const COLOUR = { slow: "var(--mantine-primary-color-filled)", failing: "var(--mantine-color-red-filled)" } as const;

/** Values that more of the slow, or of the failing, ones have than of the others; the mark on a bar is the usual share. `titled` when the card says already what they are. */
export function StandoutList({ standouts, titled = false }: { standouts: Standout[]; titled?: boolean }) {
  const { t } = useTranslation();
  const said = useSaid();
  if (standouts.length === 0) return null;
  return (
    <Stack gap={6}>
      <Text size="xs" fw={600} c="dimmed">
        {t(titled ? "causes.mark" : "causes.standouts")}
      </Text>
      <Box component="ul" m={0} p={0} style={{ listStyle: "none", display: "grid", gap: 6 }} data-testid="standouts">
        {standouts.map((one) => (
          <Box component="li" key={`${one.among} ${one.name} ${one.value}`} className="standout" data-standout={`${one.among}|${one.name}|${one.value}`}>
            <Box className="standout-bar" aria-hidden title={`${percent(one.share)} / ${percent(one.usual_share)}`}>
              <Box style={{ width: `${100 * one.share}%`, height: "100%", background: COLOUR[one.among] }} />
              <Box className="standout-usual" style={{ left: `calc(${100 * one.usual_share}% - 1px)` }} />
            </Box>
            <Text size="sm" style={{ overflowWrap: "anywhere" }}>
              {said(one, "sentence")}
            </Text>
          </Box>
        ))}
      </Box>
    </Stack>
  );
}
