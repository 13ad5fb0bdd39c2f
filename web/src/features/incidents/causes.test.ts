import { expect, it } from "vitest";
import type { IncidentDetail } from "../../api/queries";
import { causesOf, isFailing, toldCause } from "./causes";

const incident = (signal: string, labels: Record<string, string>, resolved_at: string | null = null) =>
  ({ labels: {}, alerts: [{ signal, labels }], opened_at: "2026-11-20T21:15:00Z", resolved_at }) as unknown as IncidentDetail;

it("asks for the endpoint of an alert about latency, from before it opened until it was over", () => {
  expect(causesOf(incident("http_latency_p99", { service: "orders", endpoint: "/orders" }, "2026-11-20T21:30:00Z"))).toEqual({
    service: "orders",
    endpoint: "/orders",
    since: "2026-11-20T21:05:00.000Z",
    until: "2026-11-20T21:30:00Z",
  });
});

it("asks for the task of an alert about runs, and for nothing where there is nothing to compare", () => {
  expect(causesOf(incident("task_duration_p95", { task: "orders.pay" }))).toEqual({ task: "orders.pay", since: "2026-11-20T21:05:00.000Z" });
  expect(causesOf(incident("task_failures", {}))).toBeNull();
  expect(causesOf(incident("worker_down", { service: "orders" }))).toBeNull();
});

it("tells incidents about failures from those about slowness", () => {
  expect(isFailing(incident("task_failure_ratio", { task: "orders.pay" }))).toBe(true);
  expect(isFailing(incident("http_error_ratio", { service: "orders" }))).toBe(true);
  expect(isFailing(incident("task_duration_p95", { task: "orders.pay" }))).toBe(false);
});

it("finds what the timeline named last", () => {
  const timeline = ["opened", "cause_found", "cause_found", "resolved"].map((kind, number) => ({ kind, text: String(number) }));
  expect(toldCause({ timeline } as unknown as IncidentDetail)?.text).toBe("2");
  expect(toldCause({ timeline: [] })).toBeUndefined();
});
