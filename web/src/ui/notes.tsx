import { Alert, Button, Stack, Text } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Problem } from "../api/client";

export function ErrorNote({ error, retry }: { error: Error; retry?: () => void }) {
  const { t } = useTranslation();
  return (
    <Alert color="red" icon={<IconAlertTriangle size={18} />} title={t("error.title")} maw={640}>
      <Stack gap="xs" align="flex-start">
        <Text size="sm">{error.message}</Text>
        {retry && (
          <Button size="xs" variant="light" color="red" onClick={retry}>
            {t("error.retry")}
          </Button>
        )}
      </Stack>
    </Alert>
  );
}

/** For a page of one thing that could not be loaded: that there is none, or what went wrong. */
export function MissingNote({ error, none, retry }: { error: Error; none: string; retry: () => void }) {
  // A number that is none is told as invalid: 422.
  const missing = error instanceof Problem && [404, 422].includes(error.status);
  return missing ? <EmptyNote>{none}</EmptyNote> : <ErrorNote error={error} retry={retry} />;
}

export function EmptyNote({ children }: { children: ReactNode }) {
  return (
    <Text c="dimmed" size="sm" py="md" ta="center">
      {children}
    </Text>
  );
}
