import type { WorkflowEdge, WorkflowNode } from "../../api/queries";

export const BOX = { width: 196, height: 66, gapX: 56, gapY: 14 } as const;

export interface Place {
  node: WorkflowNode;
  x: number;
  y: number;
}

export interface Layout {
  places: Place[];
  width: number;
  height: number;
}

/** Columns from left to right: a node stands right of everything it comes after. Circles, which only damaged data has,
 * are cut where they are met. */
export function layout(nodes: readonly WorkflowNode[], edges: readonly WorkflowEdge[]): Layout {
  const before = new Map<string, string[]>();
  for (const edge of edges) before.set(edge.target, [...(before.get(edge.target) ?? []), edge.source]);
  const level = new Map<string, number>();
  const visiting = new Set<string>();
  const levelOf = (key: string): number => {
    const known = level.get(key);
    if (known !== undefined) return known;
    if (visiting.has(key)) return 0;
    visiting.add(key);
    const found = Math.max(-1, ...(before.get(key) ?? []).map(levelOf)) + 1;
    visiting.delete(key);
    level.set(key, found);
    return found;
  };
  const columns = new Map<number, WorkflowNode[]>();
  for (const node of nodes) {
    const at = levelOf(node.key);
    columns.set(at, [...(columns.get(at) ?? []), node]);
  }
  const tallest = Math.max(0, ...[...columns.values()].map((column) => column.length));
  const height = Math.max(0, tallest * (BOX.height + BOX.gapY) - BOX.gapY);
  const places: Place[] = [];
  for (const [at, column] of columns) {
    const own = column.length * (BOX.height + BOX.gapY) - BOX.gapY;
    column.forEach((node, row) => {
      places.push({ node, x: at * (BOX.width + BOX.gapX), y: (height - own) / 2 + row * (BOX.height + BOX.gapY) });
    });
  }
  return { places, width: Math.max(0, columns.size * (BOX.width + BOX.gapX) - BOX.gapX), height };
}

/** The line of an edge, from the right side of one box to the left side of another. */
export function curve(from: Pick<Place, "x" | "y">, to: Pick<Place, "x" | "y">): string {
  const x1 = from.x + BOX.width;
  const y1 = from.y + BOX.height / 2;
  const y2 = to.y + BOX.height / 2;
  const bend = Math.max(24, (to.x - x1) / 2);
  return `M ${x1} ${y1} C ${x1 + bend} ${y1}, ${to.x - bend} ${y2}, ${to.x - 7} ${y2}`;
}
