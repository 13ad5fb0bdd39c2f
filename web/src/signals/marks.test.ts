import { expect, it } from "vitest";
import type { Deploy } from "../api/queries";
import { marksOf } from "./marks";

const deploy = (service: string, version: string, at: string): Deploy => ({ id: 1, service, version, before: "", at, origin: "reported", note: "", by: "" });

it("marks what lies in the chart's time, and says whose it is where that is not plain", () => {
  const at = Date.parse("2026-11-20T21:15:00Z") / 1000;
  const deploys = [deploy("orders", "2", "2026-11-20T21:15:00Z"), deploy("", "os 12", "2026-11-20T21:16:00Z"), deploy("orders", "1", "2026-11-20T20:00:00Z")];
  expect(marksOf(deploys, at - 60, at + 60)).toEqual([
    { at, label: "orders 2" },
    { at: at + 60, label: "os 12" },
  ]);
  expect(marksOf(deploys, at - 60, at + 30, "orders")).toEqual([{ at, label: "2" }]);
});
