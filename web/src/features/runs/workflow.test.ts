import { expect, it } from "vitest";
import type { Run } from "../../api/queries";
import { above, beside, states } from "./workflow";

const run = (id: string, state = "succeeded", group_id: string | null = null) => ({ id, state, group_id }) as Run;

it("names the root and the parent once, and never the run itself", () => {
  expect(above({ id: "c", root_id: "a", parent_id: "b" })).toEqual(["a", "b"]);
  expect(above({ id: "c", root_id: "a", parent_id: "a" })).toEqual(["a"]);
  expect(above({ id: "a", root_id: "a", parent_id: null })).toEqual([]);
});

it("sets beside a run those of its group alone, where it has one", () => {
  const siblings = [run("a", "failed", "g"), run("b", "succeeded", "g"), run("c", "queued", "h"), run("d")];
  expect(beside(run("a", "failed", "g"), siblings).map((r) => r.id)).toEqual(["b"]);
  expect(beside(run("d"), siblings).map((r) => r.id)).toEqual(["a", "b", "c"]);
});

it("counts runs by state, the most first", () => {
  expect(states([run("a", "failed"), run("b"), run("c")])).toEqual([
    ["succeeded", 2],
    ["failed", 1],
  ]);
});
