import { createTheme, type MantineColorsTuple } from "@mantine/core";

const fire: MantineColorsTuple = [
  "#fff3ea", "#ffe3d0", "#ffc5a1", "#ffa56d", "#fd8841", "#f97523", "#f26a12", "#d65a08", "#bf4f03", "#a64200",
];

export const theme = createTheme({
  primaryColor: "fire",
  primaryShade: { light: 7, dark: 5 },
  colors: { fire },
  fontFamily:
    'Inter, system-ui, -apple-system, "Segoe UI", Roboto, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif',
  fontFamilyMonospace: 'ui-monospace, "JetBrains Mono", "SF Mono", Menlo, Consolas, "Noto Sans Mono CJK SC", monospace',
  respectReducedMotion: true,
  autoContrast: true,
  defaultRadius: "md",
  headings: { fontWeight: "650" },
});

/** Colour of a run's state, an incident's state or a level; the same everywhere on the page. */
export const STATE_COLOR: Record<string, string> = {
  scheduled: "gray",
  queued: "blue",
  started: "cyan",
  retrying: "yellow",
  succeeded: "teal",
  failed: "red",
  revoked: "grape",
  rejected: "orange",
  lost: "pink",
  dead: "dark",
  open: "red",
  acknowledged: "yellow",
  resolved: "teal",
  pending: "yellow",
  firing: "red",
  warning: "yellow",
  critical: "red",
  ok: "teal",
  blind: "gray",
  up: "teal",
  down: "red",
  wedged: "orange",
  stuck: "orange",
  closed: "gray",
  failing: "red",
  degraded: "yellow",
  good: "teal",
  idle: "gray",
};
