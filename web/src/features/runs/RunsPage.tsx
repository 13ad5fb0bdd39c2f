import { Box, Button, CloseButton, Flex, Group, Loader, Pill, SegmentedControl, Stack, Text, TextInput, Title } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useRunCounts, useRuns } from "../../api/queries";
import { count } from "../../ui/format";
import { EmptyNote, ErrorNote } from "../../ui/notes";
import { BlindBanner } from "../gaps/BlindBanner";
import { GapNote } from "../gaps/GapNote";
import { WorkflowTable } from "../workflows/WorkflowTable";
import { RunFilters, type Counts } from "./RunFilters";
import { RunTable } from "./RunTable";
import { PERIODS, toQuery, type Period, type RunSearch } from "./search";

/** Runs that are stuck are offered beside the states, when there are any. */
function withStuck(counts: (Counts & { stuck: number }) | undefined): Counts {
  if (!counts) return {};
  return counts.stuck > 0 ? { ...counts, state: { ...counts.state, stuck: counts.stuck } } : counts;
}

export function RunsPage() {
  // Where there is little room, the list comes first.
  const [filtering, setFiltering] = useState(false);
  const { t } = useTranslation();
  const search = useSearch({ from: "/runs" });
  const navigate = useNavigate({ from: "/runs" });
  const query = toQuery(search);
  const runs = useRuns(query);
  const counts = useRunCounts(query);
  const change = (next: RunSearch) => void navigate({ search: next, replace: true });
  const items = runs.data?.pages.flatMap((page) => page.items) ?? [];
  const total = counts.data?.total;
  const workflows = search.view === "workflows";
  const filtered = Object.keys(search).some((key) => key !== "period" && key !== "view");
  return (
    <Stack>
      <Group justify="space-between">
        <Group gap="sm" align="baseline">
          <Title order={1} fz="xl">
            {t("runs.title")}
          </Title>
          {total !== undefined && !workflows && (
            <Text c="dimmed" size="sm" data-testid="run-total">
              {t("runs.count", { count: total, formatted: `${count(total)}${counts.data?.exact === false ? "+" : ""}` })}
            </Text>
          )}
        </Group>
        <SegmentedControl
          size="xs"
          aria-label={t("workflow.view")}
          value={search.view ?? "runs"}
          onChange={(view) => change({ ...search, view: view === "workflows" ? "workflows" : undefined })}
          data={[
            { value: "runs", label: t("runs.title") },
            { value: "workflows", label: t("workflow.title") },
          ]}
        />
        <SegmentedControl
          size="xs"
          aria-label={t("runs.window")}
          value={search.period ?? "d1"}
          onChange={(period) => change({ ...search, period: period as Period })}
          data={Object.keys(PERIODS).map((value) => ({ value, label: t(`runs.windows.${value}`) }))}
        />
      </Group>
      <BlindBanner />
      <Group display={workflows ? "none" : "flex"}>
        <SearchBox value={search.q ?? ""} onChange={(q) => change({ ...search, q: q || undefined })} />
        {search.failure && (
          <Pill size="md" withRemoveButton onRemove={() => change({ ...search, failure: undefined })}>
            {t("runs.failure", { fingerprint: search.failure.slice(0, 8) })}
          </Pill>
        )}
        {filtered && (
          <Button size="xs" variant="subtle" onClick={() => change({ period: search.period, view: search.view })}>
            {t("runs.clear")}
          </Button>
        )}
      </Group>
      <Flex gap="md" direction={{ base: "column", sm: "row" }} align="flex-start">
        {!workflows && (
          <>
            <Button hiddenFrom="sm" variant="default" size="xs" aria-expanded={filtering} onClick={() => setFiltering(!filtering)}>
              {t("runs.filters")}
            </Button>
            <Box className="card" p="md" w={{ base: "100%", sm: 240 }} style={{ flexShrink: 0 }} {...(filtering ? {} : { visibleFrom: "sm" })}>
              <RunFilters counts={withStuck(counts.data)} search={search} onChange={change} />
            </Box>
          </>
        )}
        <Box className="card" p="md" style={{ flex: 1, minWidth: 0 }} w="100%">
          <GapNote since={query.since} />
          {workflows ? (
            <WorkflowTable since={query.since} service={search.service} />
          ) : runs.isError ? (
            <ErrorNote error={runs.error} retry={() => void runs.refetch()} />
          ) : runs.isPending ? (
            <Loader size="sm" />
          ) : items.length === 0 ? (
            <EmptyNote>{t(filtered ? "runs.none" : "runs.nothing")}</EmptyNote>
          ) : (
            <>
              <RunTable runs={items} />
              {runs.hasNextPage && (
                <Group justify="center" mt="sm">
                  <Button variant="light" size="xs" loading={runs.isFetchingNextPage} onClick={() => void runs.fetchNextPage()}>
                    {t("runs.more")}
                  </Button>
                </Group>
              )}
            </>
          )}
        </Box>
      </Flex>
    </Stack>
  );
}

function SearchBox({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const { t } = useTranslation();
  const [text, setText] = useState(value);
  const [shown, setShown] = useState(value);
  if (shown !== value) {
    // The address changed under us (back, clear): follow it.
    setShown(value);
    setText(value);
  }
  const tell = useDebouncedCallback(onChange, 250);
  return (
    <TextInput
      aria-label={t("runs.search")}
      placeholder={t("runs.search")}
      leftSection={<IconSearch size={16} />}
      rightSection={
        text ? (
          <CloseButton
            size="sm"
            aria-label={t("runs.forget")}
            onClick={() => {
              setText("");
              onChange("");
            }}
          />
        ) : null
      }
      w={360}
      maw="100%"
      value={text}
      onChange={(event) => {
        setText(event.currentTarget.value);
        tell(event.currentTarget.value);
      }}
    />
  );
}
