import { Group, Loader, SegmentedControl, Stack, Title } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useWorkers } from "../../api/queries";
import { Card } from "../../ui/Card";
import { count } from "../../ui/format";
import { EmptyNote, ErrorNote } from "../../ui/notes";
import { BlindBanner } from "../gaps/BlindBanner";
import { GapNote } from "../gaps/GapNote";
import { WORKER_STATES, chosen, counted, type WorkerState } from "./search";
import { WorkerTable } from "./WorkerTable";

/** Who executes, who is gone. */
export function WorkersPage() {
  const { t } = useTranslation();
  const { state } = useSearch({ from: "/workers" });
  const navigate = useNavigate({ from: "/workers" });
  const workers = useWorkers();
  const all = workers.data?.items ?? [];
  const counts = counted(all);
  const shown = chosen(all, state);
  return (
    <Stack>
      <Group justify="space-between">
        <Title order={1} fz="xl">
          {t("worker.title")}
        </Title>
        <SegmentedControl
          size="xs"
          aria-label={t("worker.state")}
          value={state ?? "all"}
          onChange={(value) => void navigate({ search: value === "all" ? {} : { state: value as WorkerState }, replace: true })}
          data={[
            { value: "all", label: `${t("worker.all")} ${count(all.length)}` },
            ...WORKER_STATES.map((value) => ({ value, label: `${t(`state.${value}`)} ${count(counts[value])}` })),
          ]}
        />
      </Group>
      <BlindBanner />
      <Card label={t("worker.title")}>
        <GapNote since="-24h" of="workers" period="d1" />
        {workers.isError ? (
          <ErrorNote error={workers.error} retry={() => void workers.refetch()} />
        ) : workers.isPending ? (
          <Loader size="sm" />
        ) : shown.length === 0 ? (
          <EmptyNote>{t(all.length === 0 ? "worker.none" : "worker.noneSuch")}</EmptyNote>
        ) : (
          <WorkerTable workers={shown} />
        )}
      </Card>
    </Stack>
  );
}
