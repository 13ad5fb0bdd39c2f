import { Alert, Anchor, Button, Stack, Text } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Problem } from "../api/client";
import { problemText } from "./problem";

export function ErrorNote({ error, retry }: { error: Error; retry?: () => void }) {
  const { t } = useTranslation();
  return (
    <Alert color="red" icon={<IconAlertTriangle size={18} />} title={t("error.title")} maw={640}>
      <Stack gap="xs" align="flex-start">
        <Text size="sm">{problemText(t, error)}</Text>
        {retry && (
          <Button size="xs" variant="light" color="red" onClick={retry}>
            {t("error.retry")}
          </Button>
        )}
      </Stack>
    </Alert>
  );
}

type List = "runs" | "tasks" | "incidents" | "schedules" | "services" | "dependencies";

interface MissingNoteProps {
  error: Error;
  /** Says that there is none. */
  none: string;
  retry: () => void;
  /** The list in which it would be. */
  list: List;
}

/** For a page of one thing that could not be loaded: that there is none and where the others are, or what went wrong. */
export function MissingNote({ error, none, retry, list }: MissingNoteProps) {
  // A number that is none is told as invalid.
  const missing = error instanceof Problem && [400, 404, 422].includes(error.status);
  return missing ? <NoneNote list={list}>{none}</NoneNote> : <ErrorNote error={error} retry={retry} />;
}

/** For a page of one thing that is not there: where the others are. */
export function NoneNote({ list, children }: { list: List; children: ReactNode }) {
  const { t } = useTranslation();
  return (
    <Stack align="center" gap={0}>
      <EmptyNote>{children}</EmptyNote>
      <Anchor component={Link} to={`/${list}`} size="sm">
        {t("notFound.back", { list: t(`nav.${list}`) })}
      </Anchor>
    </Stack>
  );
}

export function EmptyNote({ children }: { children: ReactNode }) {
  return (
    <Text c="dimmed" size="sm" py="md" ta="center">
      {children}
    </Text>
  );
}
