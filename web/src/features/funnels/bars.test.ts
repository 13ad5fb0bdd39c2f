import { expect, it } from "vitest";
import type { FunnelStep, Signal } from "../../api/queries";
import { barsOf } from "./bars";
import { ownMetrics } from "./metrics";

const step = (name: string, position: number, reached: number, before: number | null): FunnelStep => ({
  step: name,
  position,
  reached,
  conversion: reached / 120,
  from_previous: before === null ? null : reached / before,
  dropped: before === null ? 0 : Math.max(0, before - reached),
});

it("finds the step at which most were lost", () => {
  const bars = barsOf([step("cart", 1, 120, null), step("paid", 2, 60, 120), step("shipped", 3, 30, 60)]);
  expect(bars.map((bar) => [bar.width, bar.dropped, bar.lost, bar.worst])).toEqual([
    [100, 0, null, false],
    [50, 60, 0.5, true],
    [25, 30, 0.5, false],
  ]);
});

it("accuses no step where nobody was lost, and draws no bar wider than the widest", () => {
  const bars = barsOf([step("cart", 1, 10, null), step("paid", 2, 20, 10)]);
  expect(bars.map((bar) => [bar.width, bar.lost, bar.worst])).toEqual([
    [50, null, false],
    [100, 0, false],
  ]);
});

it("lists the metrics that an application declares, each once, those of a service alone if one is chosen", () => {
  const signal = (id: string, section = "business") => ({ id, title: id, panel: { section, joins: id.startsWith("p99") ? "p95:weight" : "" } }) as Signal;
  const signals = [signal("backlog"), signal("http_error_ratio", "http"), signal("rate:orders_total"), signal("p95:weight"), signal("p99:weight"), signal("value:stock")];
  const known = [
    { metric: "orders_total", service: "shop" },
    { metric: "stock", service: "mail" },
    { metric: "weight", service: "shop" },
  ];
  expect(ownMetrics(signals, known, undefined).map((each) => each.id)).toEqual(["rate:orders_total", "p95:weight", "value:stock"]);
  expect(ownMetrics(signals, known, "mail").map((each) => each.id)).toEqual(["value:stock"]);
});
