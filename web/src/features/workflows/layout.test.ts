import { expect, it } from "vitest";
import type { WorkflowEdge, WorkflowNode } from "../../api/queries";
import { BOX, layout } from "./layout";

const node = (key: string) => ({ key, kind: "run", task: key, states: {}, total: 1, finished: 1, members: [] }) as unknown as WorkflowNode;
const edge = (source: string, target: string) => ({ source, target, kind: "then" }) as WorkflowEdge;
const columns = (nodes: string[], edges: WorkflowEdge[]) =>
  Object.fromEntries(layout(nodes.map(node), edges).places.map((place) => [place.node.key, place.x / (BOX.width + BOX.gapX)]));

it("puts every node right of all that it comes after", () => {
  expect(columns(["a", "b", "c", "d"], [edge("a", "b"), edge("b", "d"), edge("a", "c"), edge("c", "d"), edge("a", "d")])).toEqual({
    a: 0,
    b: 1,
    c: 1,
    d: 2,
  });
});

it("stands a circle", () => {
  const found = columns(["a", "b"], [edge("a", "b"), edge("b", "a")]);
  expect(Object.keys(found).sort()).toEqual(["a", "b"]);
});

it("lets no two boxes of a column touch", () => {
  const ys = layout(["a", "b", "c"].map(node), []).places.map((place) => place.y).sort((a, b) => a - b);
  const steps = ys.slice(1).map((y, row) => y - (ys[row] ?? 0));
  expect(steps).toHaveLength(2);
  for (const step of steps) expect(step).toBeGreaterThan(BOX.height);
});
