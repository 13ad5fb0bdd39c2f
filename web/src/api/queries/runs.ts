/** Questions about runs, the workflows they belong to and how they fail. */

import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { api, unwrap, type Schemas } from "../client";
import { REFRESH_MS } from "./refresh";

export type Run = Schemas["Run"];
export type Attempt = Schemas["Attempt"];
export type FailureGroup = Schemas["FailureGroup"];
export type Workflow = Schemas["Workflow"];
export type WorkflowNode = Schemas["WorkflowNode"];
export type WorkflowEdge = Schemas["WorkflowEdge"];
export type WorkflowMember = Schemas["WorkflowMember"];

/** What a list of runs can be narrowed by; empty means any. `since` is relative (`-1h`) or absent. */
export interface RunQuery {
  state?: string[];
  task?: string[];
  queue?: string[];
  worker?: string[];
  service?: string[];
  framework?: string[];
  failure?: string;
  since?: string;
  q?: string;
}

export function useRuns(query: RunQuery, limit = 50) {
  return useInfiniteQuery({
    queryKey: ["runs", query, limit],
    queryFn: async ({ pageParam }) =>
      unwrap(
        await api.GET("/api/v1/runs", {
          params: { query: { ...(query as object), limit, ...(pageParam ? { cursor: pageParam } : {}) } },
        }),
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next ?? undefined,
    placeholderData: keepPreviousData,
  });
}

export function useRunCounts(query: RunQuery) {
  return useQuery({
    queryKey: ["counts", query],
    queryFn: async () => unwrap(await api.GET("/api/v1/runs/counts", { params: { query: query as object } })),
    placeholderData: keepPreviousData,
    refetchInterval: REFRESH_MS,
  });
}

export function useRun(id: string) {
  return useQuery({
    queryKey: ["run", id],
    queryFn: async () => unwrap(await api.GET("/api/v1/runs/{run_id}", { params: { path: { run_id: id } } })),
  });
}

/** The runs that a run started; of nothing, nothing is asked. */
export function useRunChildren(id: string | null) {
  return useQuery({
    queryKey: ["runs", "children", id],
    queryFn: async () =>
      unwrap(await api.GET("/api/v1/runs/{run_id}/children", { params: { path: { run_id: id ?? "" } } })),
    enabled: id !== null,
  });
}

/** The runs that belong together with one, as a graph. */
export function useRunWorkflow(id: string) {
  return useQuery({
    queryKey: ["runs", "workflow", id],
    queryFn: async () => unwrap(await api.GET("/api/v1/runs/{run_id}/workflow", { params: { path: { run_id: id } } })),
  });
}

export function useWorkflows(since: string | undefined, service: string[] = []) {
  return useQuery({
    queryKey: ["runs", "workflows", since, service],
    queryFn: async () =>
      unwrap(await api.GET("/api/v1/workflows", { params: { query: { ...(since ? { since } : {}), service } } })),
    placeholderData: keepPreviousData,
  });
}

export function useFailures(since: string | undefined, limit = 20) {
  return useQuery({
    queryKey: ["failures", since, limit],
    queryFn: async () =>
      unwrap(await api.GET("/api/v1/failures", { params: { query: { ...(since ? { since } : {}), limit } } })),
    placeholderData: keepPreviousData,
    refetchInterval: REFRESH_MS,
  });
}
