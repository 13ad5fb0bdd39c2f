import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen } from "@testing-library/react";
import { act, type ReactNode } from "react";
import { afterEach, expect, it } from "vitest";
import type { Gap } from "../../api/queries";
import { chooseLanguage } from "../../i18n";
import { BlindBanner } from "./BlindBanner";
import { GapNote } from "./GapNote";

const ago = (s: number) => new Date(Date.now() - s * 1000).toISOString();
const OPEN: Gap = { source: "celery redis://broker/0", started_at: ago(90), ended_at: null, reason: "<b>connection</b> refused" };
const OVER: Gap = { source: "celery redis://broker/0", started_at: ago(1000), ended_at: ago(880), reason: "timed out" };

function show(node: ReactNode, since: string, items: Gap[]) {
  const client = new QueryClient({ defaultOptions: { queries: { staleTime: Infinity, refetchInterval: false } } });
  client.setQueryData(["gaps", since], { items, next: null });
  render(
    <MantineProvider>
      <QueryClientProvider client={client}>{node}</QueryClientProvider>
    </MantineProvider>,
  );
}

afterEach(() => act(() => chooseLanguage("en")));

it("names the source that is cut off, since when and why, as text", () => {
  show(<BlindBanner />, "-1m", [OPEN]);
  expect(screen.getByRole("status")).toHaveTextContent(/celery redis:\/\/broker\/0, for 1 min 3\d s\. <b>connection<\/b> refused/);
});

it("says nothing of a gap that is over", () => {
  show(<BlindBanner />, "-1m", [OVER]);
  expect(screen.queryByRole("status")).toBeNull();
});

it("notes for a list how long nothing was heard in its period", () => {
  show(<GapNote since="-1h" />, "-1h", [OVER]);
  expect(screen.getByTestId("gap-note")).toHaveTextContent("Not everything could be heard for 2 min of this period.");
  expect(screen.getByRole("listitem")).toHaveTextContent("timed out");
});

it("leaves a list without gaps alone", () => {
  show(<GapNote since="-1h" />, "-1h", []);
  expect(screen.queryByTestId("gap-note")).toBeNull();
});

it("counts several gaps, in Chinese too", () => {
  act(() => chooseLanguage("zh"));
  show(<GapNote since="-1h" />, "-1h", [{ ...OVER, source: "b" }, OVER]);
  expect(screen.getByTestId("gap-note")).toHaveTextContent("有 2 段没有收到全部数据，共 2 分");
});

it("says what a gap may mean for each kind of list, and of which time it is", () => {
  show(<GapNote since="-24h" of="workers" period="d1" />, "-24h", [OVER]);
  expect(screen.getByTestId("gap-note")).toHaveTextContent("2 min of the last 24 hours. Workers of then may be missing, or have been taken for dead while they worked.");
});

it("counts of a list that begins and ends at a time only what lies inside", () => {
  const [since, until] = [ago(940), ago(900)];
  const client = new QueryClient({ defaultOptions: { queries: { staleTime: Infinity, refetchInterval: false } } });
  client.setQueryData(["gaps", since, until], { items: [OVER], next: null });
  render(
    <MantineProvider>
      <QueryClientProvider client={client}>
        <GapNote since={since} until={until} of="run" period="run" />
      </QueryClientProvider>
    </MantineProvider>,
  );
  expect(screen.getByTestId("gap-note")).toHaveTextContent("Not everything could be heard for 40 s of the time of this run.");
});
