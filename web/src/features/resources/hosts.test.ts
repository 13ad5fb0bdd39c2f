import { expect, it } from "vitest";
import { last, sourcesOf } from "./hosts";

it("names each who tells of a host with what it tells", () => {
  expect(sourcesOf({ sources: { cpu: "node-exporter", memory: "node-exporter", disk: "psutil" } })).toEqual([
    { source: "node-exporter", measures: ["cpu", "memory"] },
    { source: "psutil", measures: ["disk"] },
  ]);
  expect(sourcesOf({ sources: { cpu: "psutil", memory: null, disk: null } })).toEqual([{ source: "psutil", measures: ["cpu"] }]);
  expect(sourcesOf({ sources: { cpu: null, memory: null, disk: null } })).toEqual([]);
});

it("takes nothing for zero", () => {
  expect([last([0.5, 0]), last([0.5, null]), last([])]).toEqual([0, null, null]);
});
