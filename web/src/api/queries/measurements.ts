/** Questions about what is measured: signals, resources, funnels, labels and buckets. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { api, unwrap, type Schemas } from "../client";
import { REFRESH_MS } from "./refresh";

export type HostResources = Schemas["HostResources"];
export type NodeExporters = Schemas["NodeExporters"];
export type Funnel = Schemas["Funnel"];
export type FunnelStep = Schemas["FunnelStep"];
export type LabelBudget = Schemas["LabelBudget"];
export type Bounds = Schemas["Bounds"];
export type Signal = Schemas["Signal"];
export type SignalReading = Schemas["SignalReading"];
/** As JSON gives it: the client forgets how long its tuples are. */
export type BucketAdvice = Omit<Schemas["BucketAdvice"], "shape"> & { shape: number[][] };

export interface SignalQuery {
  since?: string;
  window_s?: number;
  step_s?: number;
  by?: string[];
  service?: string;
  task?: string;
  /** `name=value`, for any other label. */
  label?: string[];
}

export function useSignal(id: string, query: SignalQuery) {
  return useQuery({
    queryKey: ["signals", id, query],
    queryFn: async () =>
      unwrap(
        await api.GET("/api/v1/signals/{signal_id}", {
          params: { path: { signal_id: id }, query: query as object },
        }),
      ),
    placeholderData: keepPreviousData,
    refetchInterval: REFRESH_MS,
  });
}

/** The catalogue of signals, and those of the metrics that applications declare. */
export function useSignals() {
  return useQuery({
    queryKey: ["signals", "catalogue"],
    queryFn: async () => unwrap(await api.GET("/api/v1/signals")),
    refetchInterval: 2 * REFRESH_MS,
  });
}

/** What processes and hosts use over time. */
export function useResources(query: { since: string; step_s: number }) {
  return useQuery({
    queryKey: ["resources", query],
    queryFn: async () => unwrap(await api.GET("/api/v1/resources", { params: { query } })),
    placeholderData: keepPreviousData,
    refetchInterval: 2 * REFRESH_MS,
  });
}

export function useFunnels(window_s: number) {
  return useQuery({
    queryKey: ["funnels", window_s],
    queryFn: async () => unwrap(await api.GET("/api/v1/funnels", { params: { query: { window_s } } })),
    placeholderData: keepPreviousData,
    refetchInterval: REFRESH_MS,
  });
}

/** Every metric that processes measure, those over their budget of labels first. */
export function useCardinality() {
  return useQuery({
    queryKey: ["cardinality"],
    queryFn: async () => unwrap(await api.GET("/api/v1/cardinality")),
    refetchInterval: 2 * REFRESH_MS,
  });
}

export interface BucketQuery {
  service?: string;
  task?: string;
  endpoint?: string;
  bounds?: string;
  count?: number;
}

/** How far off classic buckets are for what the last day observed, and better bounds. */
export function useBuckets(query: BucketQuery) {
  return useQuery({
    queryKey: ["buckets", query],
    queryFn: async () => unwrap(await api.GET("/api/v1/buckets", { params: { query } })),
    placeholderData: keepPreviousData,
    refetchInterval: 12 * REFRESH_MS,
  });
}
