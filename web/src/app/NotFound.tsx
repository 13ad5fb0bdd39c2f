import { Anchor, Group, Stack, Text, Title } from "@mantine/core";
import { Link, useRouterState } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";

/** Where most people wanted to go. */
const WAYS = [
  { to: "/", key: "overview" },
  { to: "/incidents", key: "incidents" },
  { to: "/services", key: "services" },
  { to: "/runs", key: "runs" },
  { to: "/tasks", key: "tasks" },
  { to: "/failures", key: "failures" },
] as const;

/** For an address within the page that leads nowhere: which one it was, and ways on. */
export function NotFound() {
  const { t } = useTranslation();
  const path = useRouterState({ select: (state) => state.location.pathname });
  return (
    <Stack align="center" gap="sm" py="xl" data-testid="not-found">
      <Title order={1} fz="xl">
        {t("notFound.title")}
      </Title>
      <Text c="dimmed" size="sm" ta="center" style={{ overflowWrap: "anywhere" }}>
        {t("notFound.address", { path })}
      </Text>
      <Group component="nav" justify="center" gap="md" aria-label={t("notFound.ways")}>
        {WAYS.map(({ to, key }) => (
          <Anchor key={to} component={Link} to={to}>
            {t(`nav.${key}`)}
          </Anchor>
        ))}
      </Group>
    </Stack>
  );
}
