import { Box, Group, Title } from "@mantine/core";
import type { ReactNode } from "react";

export function Card({ title, aside, children, label }: { title?: ReactNode; aside?: ReactNode; children: ReactNode; label?: string }) {
  return (
    <Box className="card" component="section" p="md" aria-label={label ?? (typeof title === "string" ? title : undefined)}>
      {(title || aside) && (
        <Group justify="space-between" mb="xs" wrap="nowrap">
          <Title order={2} fz="sm" c="dimmed" fw={600}>
            {title}
          </Title>
          {aside}
        </Group>
      )}
      {children}
    </Box>
  );
}
