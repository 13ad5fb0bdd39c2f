import type { Run } from "../../api/queries";

/** The runs above a run that its events name: the root of the workflow, then the run that started this one. */
export function above(run: Pick<Run, "id" | "root_id" | "parent_id">): string[] {
  const named = [run.root_id, run.parent_id].filter((id): id is string => Boolean(id) && id !== run.id);
  return [...new Set(named)];
}

/** The others that the same run started; those of the same group alone where there is one. */
export function beside(run: Pick<Run, "id" | "group_id">, siblings: readonly Run[]): Run[] {
  return siblings.filter((other) => other.id !== run.id && (!run.group_id || other.group_id === run.group_id));
}

/** How many runs are in each state, the most first. */
export function states(runs: readonly Run[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const run of runs) counts.set(run.state, (counts.get(run.state) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}
