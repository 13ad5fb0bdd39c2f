import { Group, Loader, SegmentedControl, Stack, Title } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useDependencies } from "../../api/queries";
import { Card } from "../../ui/Card";
import { EmptyNote, ErrorNote } from "../../ui/notes";
import { ServiceSelect } from "../../ui/ServiceSelect";
import { BlindBanner } from "../gaps/BlindBanner";
import { GapNote } from "../gaps/GapNote";
import { DependencyTable } from "./DependencyTable";
import { WINDOWS, type DependenciesSearch } from "./search";

/** What services wait for, and how that is; what needs somebody first. */
export function DependenciesPage() {
  const { t } = useTranslation();
  const search = useSearch({ from: "/dependencies" });
  const navigate = useNavigate({ from: "/dependencies" });
  const { window = "m5", service } = search;
  const dependencies = useDependencies(WINDOWS[window]);
  const change = (next: DependenciesSearch) => void navigate({ search: next, replace: true });
  const items = dependencies.data?.items ?? [];
  const shown = items.filter((each) => service === undefined || each.service === service);
  return (
    <Stack>
      <Group justify="space-between">
        <Title order={1} fz="xl">
          {t("dependency.title")}
        </Title>
        <Group gap="sm">
          <ServiceSelect services={items.map((each) => each.service)} value={service} onChange={(chosen) => change({ ...(search.window ? { window: search.window } : {}), ...(chosen ? { service: chosen } : {}) })} />
          <SegmentedControl
            size="xs"
            aria-label={t("tasks.window")}
            value={window}
            onChange={(value) => change({ ...(service ? { service } : {}), ...(value === "m5" ? {} : { window: value as "h1" | "d1" }) })}
            data={Object.keys(WINDOWS).map((value) => ({ value, label: t(`dependency.windows.${value}`) }))}
          />
        </Group>
      </Group>
      <BlindBanner />
      <Card label={t("dependency.title")}>
        <GapNote since={`-${WINDOWS[window]}s`} of="figures" />
        {dependencies.isError ? (
          <ErrorNote error={dependencies.error} retry={() => void dependencies.refetch()} />
        ) : dependencies.isPending ? (
          <Loader size="sm" />
        ) : shown.length === 0 ? (
          <EmptyNote>{t("dependency.none")}</EmptyNote>
        ) : (
          <DependencyTable dependencies={shown} window={search.window} />
        )}
      </Card>
    </Stack>
  );
}
