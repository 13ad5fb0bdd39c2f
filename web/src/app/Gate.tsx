import { Button, Center, Loader, Paper, PasswordInput, Stack, Title } from "@mantine/core";
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useLogin, useSession } from "../api/queries";
import { ErrorNote } from "../ui/notes";

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
            login.mutate(token);
          }}
        >
          <Stack>
            <Title order={3}>{t("session.title")}</Title>
            <PasswordInput
              label={t("session.token")}
              value={token}
              onChange={(event) => setToken(event.currentTarget.value)}
              error={login.isError ? t("session.wrong") : undefined}
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
