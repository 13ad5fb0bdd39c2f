import { ActionIcon, Alert, AppShell, Badge, Box, Burger, Group, NavLink, SegmentedControl, Text, Tooltip, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import {
  IconActivity,
  IconAlertOctagon,
  IconBug,
  IconCalendarTime,
  IconCpu,
  IconDatabase,
  IconFilter,
  IconListDetails,
  IconMoon,
  IconPlugConnectedX,
  IconRuler2,
  IconServer2,
  IconStack2,
  IconSubtask,
  IconSun,
  IconWorld,
} from "@tabler/icons-react";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { useOverview } from "../api/queries";
import { LANGUAGES, chooseLanguage, type Language } from "../i18n";
import { useConnection } from "../live/LiveProvider";
import { clock } from "../ui/format";
import { titleOf } from "./title";

/** The pages, by what somebody comes for: is all well, how are the applications, what became of their work. */
const GROUPS = [
  {
    key: null,
    pages: [
      { to: "/", key: "overview", icon: IconActivity },
      { to: "/incidents", key: "incidents", icon: IconAlertOctagon },
    ],
  },
  {
    key: "applications",
    pages: [
      { to: "/services", key: "services", icon: IconWorld },
      { to: "/dependencies", key: "dependencies", icon: IconDatabase },
      { to: "/funnels", key: "funnels", icon: IconFilter },
      { to: "/resources", key: "resources", icon: IconCpu },
      { to: "/measurements", key: "measurements", icon: IconRuler2 },
    ],
  },
  {
    key: "work",
    pages: [
      { to: "/runs", key: "runs", icon: IconListDetails },
      { to: "/tasks", key: "tasks", icon: IconSubtask },
      { to: "/queues", key: "queues", icon: IconStack2 },
      { to: "/workers", key: "workers", icon: IconServer2 },
      { to: "/schedules", key: "schedules", icon: IconCalendarTime },
      { to: "/failures", key: "failures", icon: IconBug },
    ],
  },
] as const;

/** Where somebody without a mouse gets past the navigation. */
const CONTENT = "content";

export function Shell() {
  const { t, i18n } = useTranslation();
  const { connection, lostSince } = useConnection();
  const [opened, menu] = useDisclosure();
  const { pathname, search } = useRouterState({ select: (state) => state.location });
  const title = titleOf(t, pathname, search);
  useEffect(() => {
    document.title = title;
  }, [title]);
  return (
    <AppShell header={{ height: 52 }} navbar={{ width: 196, breakpoint: "sm", collapsed: { mobile: !opened } }} padding="md">
      <a href={`#${CONTENT}`} className="skip-link">
        {t("nav.skip")}
      </a>
      <AppShell.Header px="md" style={{ background: "var(--page-bg)" }}>
        <Group h="100%" justify="space-between" wrap="nowrap">
          <Group gap="xs" wrap="nowrap">
            <Burger opened={opened} onClick={menu.toggle} hiddenFrom="sm" size="sm" aria-label={t("nav.menu")} aria-expanded={opened} />
            <Link to="/" style={{ textDecoration: "none" }}>
              <Group gap={8} wrap="nowrap">
                <img src="/favicon.svg" width={26} height={26} alt="" />
                <Text fw={700} fz="lg" visibleFrom="sm">
                  {t("brand")}
                </Text>
              </Group>
            </Link>
          </Group>
          <Group gap="sm" wrap="nowrap">
            <ConnectionBadge connection={connection} />
            <LanguageToggle />
            <SegmentedControl
              size="xs"
              visibleFrom="sm"
              aria-label={t("language.choose")}
              value={i18n.language}
              onChange={(value) => chooseLanguage(value as Language)}
              data={Object.entries(LANGUAGES).map(([value, label]) => ({ value, label }))}
            />
            <SchemeToggle />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" style={{ background: "var(--page-bg)", overflowY: "auto" }}>
        <Navigation onChoose={menu.close} />
      </AppShell.Navbar>
      <AppShell.Main id={CONTENT} tabIndex={-1} style={{ outline: "none" }}>
        <Box maw={1440} mx="auto">
          {connection === "lost" && lostSince !== null && (
            <Alert color="orange" mb="md" icon={<IconPlugConnectedX size={18} />} role="alert" data-testid="connection-lost">
              {t("live.lostLong", { at: clock(new Date(lostSince).toISOString(), i18n.language) })}
            </Alert>
          )}
          <Outlet />
        </Box>
      </AppShell.Main>
    </AppShell>
  );
}

function Navigation({ onChoose }: { onChoose: () => void }) {
  const { t } = useTranslation();
  const path = useRouterState({ select: (state) => state.location.pathname });
  const overview = useOverview();
  const open = overview.data?.verdict.open_incidents.length ?? 0;
  return GROUPS.map(({ key: group, pages }) => (
    <Box key={group ?? "first"} role="group" mb="sm" aria-label={group ? t(`nav.groups.${group}`) : undefined}>
      {group && (
        <Text size="xs" c="dimmed" fw={600} px="sm" mb={2} aria-hidden>
          {t(`nav.groups.${group}`)}
        </Text>
      )}
      {pages.map(({ to, key, icon: Icon }) => (
        <NavLink
          key={to}
          component={Link}
          to={to}
          onClick={onChoose}
          active={to === "/" ? path === "/" : path === to || path.startsWith(`${to}/`) || (to === "/services" && path === "/endpoints")}
          label={t(`nav.${key}`)}
          leftSection={<Icon size={18} />}
          rightSection={
            key === "incidents" && open > 0 ? (
              <Badge color="red" size="sm" circle>
                {open}
              </Badge>
            ) : null
          }
          py={6}
          style={{ borderRadius: 8 }}
        />
      ))}
    </Box>
  ));
}

function ConnectionBadge({ connection }: { connection: "connecting" | "live" | "lost" }) {
  const { t } = useTranslation();
  const color = { connecting: "gray", live: "teal", lost: "orange" }[connection];
  return (
    <Badge
      variant="dot"
      color={color}
      size="lg"
      tt="none"
      data-testid="connection"
      data-connection={connection}
      role="status"
      aria-label={t(`live.${connection}`)}
      title={t(`live.${connection}`)}
      style={{ flexShrink: 0 }}
    >
      <Text component="span" inherit visibleFrom="sm">
        {t(`live.${connection}`)}
      </Text>
    </Badge>
  );
}

/** What a phone has room for: one button that names the other language. */
function LanguageToggle() {
  const { t, i18n } = useTranslation();
  const other: Language = i18n.language === "zh" ? "en" : "zh";
  return (
    <ActionIcon
      variant="default"
      size="lg"
      hiddenFrom="sm"
      lang={other}
      aria-label={`${t("language.choose")}: ${LANGUAGES[other]}`}
      onClick={() => chooseLanguage(other)}
    >
      {{ en: "EN", zh: "中" }[other]}
    </ActionIcon>
  );
}

function SchemeToggle() {
  const { t } = useTranslation();
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  return (
    <Tooltip label={t("theme.toggle")}>
      <ActionIcon
        variant="default"
        size="lg"
        aria-label={t("theme.toggle")}
        onClick={() => setColorScheme(scheme === "dark" ? "light" : "dark")}
      >
        {scheme === "dark" ? <IconSun size={18} /> : <IconMoon size={18} />}
      </ActionIcon>
    </Tooltip>
  );
}
