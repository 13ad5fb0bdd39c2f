import { Button, Center, Loader, Paper, PasswordInput, Stack, Title } from "@mantine/core";
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useLogin, useSession } from "../api/queries";
import { Problem } from "../api/client";
import { ErrorNote } from "../ui/notes";
import { problemText } from "../ui/problem";

/** Whether the token was the wrong one, and not the server away. */
function refused(error: Error): boolean {
  return error instanceof Problem && error.status < 500;
}

/** Let the page through once the server's token, if it asks for one, has been given. */
export function Gate({ children }: { children: ReactNode }) {
  const { t } = useTranslation();
  const session = useSession();
  const login = useLogin();
  const [token, setToken] = useState("");
  if (session.isPending) {
    return (
      <Center h="100vh">
        <Loader />
      </Center>
    );
  }
  if (session.isError) {
    return (
      <Center h="100vh" p="xl">
        <ErrorNote error={session.error} retry={() => void session.refetch()} />
      </Center>
    );
  }
  if (!session.data.required || session.data.ok) return children;
  return (
    <Center h="100vh" p="md">
      <Paper className="card" p="xl" w={420} maw="100%">
        <form
          onSubmit={(event) => {
            event.preventDefault();
            // Whoever is asked again types it again: it is not kept on the page.
            login.mutate(token, { onSuccess: () => setToken("") });
          }}
        >
          <Stack>
            <Title order={1} fz="lg">{t("session.title")}</Title>
            <PasswordInput
              label={t("session.token")}
              value={token}
              onChange={(event) => setToken(event.currentTarget.value)}
              error={login.isError ? (refused(login.error) ? t("session.wrong") : problemText(t, login.error)) : undefined}
              autoFocus
            />
            <Button type="submit" loading={login.isPending} disabled={!token}>
              {t("session.enter")}
            </Button>
          </Stack>
        </form>
      </Paper>
    </Center>
  );
}
