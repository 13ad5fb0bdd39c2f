import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen } from "@testing-library/react";
import { expect, it } from "vitest";
import type { Standout } from "../../api/queries";
import "../../i18n";
import { CausesCard, type Told } from "./CausesCard";

const QUERY = { task: "orders.pay", since: "2026-11-20T21:05:00Z" };
const TOLD: Told = { at: "2026-11-20T21:16:00Z", text: "91 % is the SELECT on orders.", text_zh: "91 % 是对 orders 的 SELECT。" };
const FAILING = { among: "failing", name: "failed call http POST pay", value: "yes", share: 0.95, usual_share: 0, sentence: "In 95 % the call failed.", sentence_zh: "95 % 的调用失败。" };

function show(props: { failing?: boolean; told?: Told }, standouts: object[] = []) {
  const client = new QueryClient({ defaultOptions: { queries: { staleTime: Infinity, retry: false } } });
  const compared = { service: "orders", endpoint: "", task: "orders.pay", verdict: "unclear", slow: 9, typical: 90, cutoff_s: 1, slow_mean_s: 2, typical_mean_s: 1, parts: [] };
  client.setQueryData(["causes", QUERY], { items: [], compared: [{ ...compared, standouts: standouts as Standout[] }] });
  render(
    <MantineProvider>
      <QueryClientProvider client={client}>
        <CausesCard query={QUERY} {...props} />
      </QueryClientProvider>
    </MantineProvider>,
  );
}

const NOTHING = /nothing that was measured explains it/;

it("says that nothing explains it where nothing was named", () => {
  show({});
  expect(screen.getByText(NOTHING)).toBeVisible();
});

it("keeps a cause that was named before, instead of saying that nothing explains it", () => {
  show({ told: TOLD });
  expect(screen.getByText(TOLD.text)).toBeVisible();
  expect(screen.queryByText(NOTHING)).toBeNull();
});

it("answers first what the failing ones have in common where that is the question", () => {
  show({ failing: true, told: TOLD }, [FAILING]);
  expect(screen.getByText("What the failing ones have in common")).toBeVisible();
  expect(screen.getByText(FAILING.sentence)).toBeVisible();
  expect(screen.queryByText(TOLD.text)).toBeNull();
  expect(screen.queryByText(NOTHING)).toBeNull();
});
