import { Group, Loader, SegmentedControl, Stack, Title } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useTasks } from "../../api/queries";
import { Card } from "../../ui/Card";
import { EmptyNote, ErrorNote } from "../../ui/notes";
import { BlindBanner } from "../gaps/BlindBanner";
import { GapNote } from "../gaps/GapNote";
import { WINDOWS, ordered, turned, type TaskSearch, type Window } from "./order";
import { TaskTable } from "./TaskTable";

/** Every task type: how much, how well, how fast. */
export function TasksPage() {
  const { t } = useTranslation();
  const search = useSearch({ from: "/tasks" });
  const navigate = useNavigate({ from: "/tasks" });
  const { window = "h1", by = "runs", up = false } = search;
  const tasks = useTasks(WINDOWS[window]);
  const change = (next: TaskSearch) => void navigate({ search: next, replace: true });
  return (
    <Stack>
      <Group justify="space-between">
        <Title order={1} fz="xl">
          {t("tasks.title")}
        </Title>
        <SegmentedControl
          size="xs"
          aria-label={t("tasks.window")}
          value={window}
          onChange={(value) => change({ ...search, window: value as Window })}
          data={Object.keys(WINDOWS).map((value) => ({ value, label: t(`runs.windows.${value}`) }))}
        />
      </Group>
      <BlindBanner />
      <Card label={t("tasks.title")}>
        <GapNote since={`-${WINDOWS[window]}s`} of="figures" />
        {tasks.isError ? (
          <ErrorNote error={tasks.error} retry={() => void tasks.refetch()} />
        ) : tasks.isPending ? (
          <Loader size="sm" />
        ) : tasks.data.items.length === 0 ? (
          <EmptyNote>{t("tasks.none")}</EmptyNote>
        ) : (
          <TaskTable tasks={ordered(tasks.data.items, by, up)} by={by} up={up} period={window} onSort={(column) => change(turned(search, column))} />
        )}
      </Card>
    </Stack>
  );
}
