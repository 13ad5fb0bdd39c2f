import { Box } from "@mantine/core";

/** Characters that turn the direction of text: they could make one text look like another. */
const TURNING = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** A payload as text. Always text: nothing a task was given or returned is ever rendered as markup. */
export function JsonView({ value, label }: { value: unknown; label: string }) {
  const written = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  const text = written.replace(TURNING, (turning) => `\\u${turning.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return (
    <Box
      component="pre"
      aria-label={label}
      className="mono"
      m={0}
      p="sm"
      style={{
        whiteSpace: "pre-wrap",
        overflowWrap: "anywhere",
        maxHeight: 360,
        overflow: "auto",
        borderRadius: 8,
        background: "light-dark(#f6f3ef, #16181b)",
      }}
    >
      {text}
    </Box>
  );
}
