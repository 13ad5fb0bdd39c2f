import { expect, it } from "vitest";
import type { Gap } from "../api/queries";
import { bandsOf, deafSeconds } from "./bands";

const T0 = Date.parse("2026-11-20T21:00:00Z") / 1000;

function gap(from_s: number, to_s: number | null, source = "celery redis"): Gap {
  const at = (offset: number) => new Date((T0 + offset) * 1000).toISOString();
  return { source, started_at: at(from_s), ended_at: to_s === null ? null : at(to_s), reason: "connection refused" };
}

const bands = (gaps: Gap[]) =>
  bandsOf(gaps, T0, T0 + 600, (sources) => sources.join("+")).map((b) => [b.from - T0, b.to - T0, b.label]);

it("keeps a gap inside the time of the chart", () => {
  expect(bands([gap(-60, 30), gap(580, 900)])).toEqual([
    [0, 30, "celery redis"],
    [580, 600, "celery redis"],
  ]);
});

it("leaves out a gap that ended before or began after", () => {
  expect(bands([gap(-60, -1), gap(601, 700)])).toEqual([]);
});

it("draws a gap that is still open up to the edge", () => {
  expect(bands([gap(500, null)])).toEqual([[500, 600, "celery redis"]]);
});

it("draws sources that were cut at once as one band, newest gap first in the answer or not", () => {
  expect(bands([gap(100, 300, "b"), gap(50, 150, "a"), gap(120, 140, "a")])).toEqual([[50, 300, "a+b"]]);
});

it("counts time that two sources were silent once", () => {
  expect(deafSeconds([gap(0, 100, "a"), gap(50, 150, "b"), gap(200, 210, "a")], T0, T0 + 600)).toBe(160);
});
