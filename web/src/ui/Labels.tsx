import { Code, Group } from "@mantine/core";

/** Labels as they stand in rules and filters, those that say nothing left out. */
export function Labels({ of }: { of: Record<string, string> }) {
  const said = Object.entries(of).filter(([, value]) => value !== "");
  if (said.length === 0) return null;
  return (
    <Group gap={4} data-testid="labels">
      {said.map(([name, value]) => (
        <Code key={name} fz="xs" style={{ overflowWrap: "anywhere" }}>
          {name}={value}
        </Code>
      ))}
    </Group>
  );
}
