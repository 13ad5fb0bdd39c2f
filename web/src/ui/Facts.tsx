import { SimpleGrid, Text } from "@mantine/core";
import type { ReactNode } from "react";

/** The name of a fact, and what it is. */
export type Fact = [string, ReactNode];

/** What is known of one thing, side by side. */
export function Facts({ facts, name }: { facts: Fact[]; name?: string }) {
  return (
    <SimpleGrid cols={{ base: 2, sm: 3, lg: 5 }} spacing="sm" data-testid={name}>
      {facts.map(([about, value]) => (
        <div key={about}>
          <Text size="xs" c="dimmed">
            {about}
          </Text>
          <Text size="sm" component="div" style={{ overflowWrap: "anywhere" }}>
            {value}
          </Text>
        </div>
      ))}
    </SimpleGrid>
  );
}
