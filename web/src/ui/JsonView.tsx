import { Box } from "@mantine/core";

/** A payload as text. Always text: nothing a task was given or returned is ever rendered as markup. */
export function JsonView({ value, label }: { value: unknown; label: string }) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
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
