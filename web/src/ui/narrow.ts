import { useMediaQuery } from "@mantine/hooks";

/** Whether there is as little room as on a phone (Mantine's `sm` begins at 48em): lists then show what matters most, and the rest below it. */
export function useNarrow(): boolean {
  return useMediaQuery("(max-width: 47.99em)", false, { getInitialValueInEffect: false });
}
