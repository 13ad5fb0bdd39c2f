/** Questions about the first page, and the times in which nothing could be heard. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { api, unwrap, type Schemas } from "../client";
import { REFRESH_MS } from "./refresh";

export type Overview = Schemas["Overview"];
export type Gap = Schemas["Gap"];

export function useOverview() {
  return useQuery({
    queryKey: ["overview"],
    queryFn: async () => unwrap(await api.GET("/api/v1/overview")),
    refetchInterval: REFRESH_MS,
  });
}

/** The times in which nothing could be heard that touch a period; without `since` all that are kept. */
export function useGaps(since: string | undefined, until?: string) {
  return useQuery({
    queryKey: until === undefined ? ["gaps", since] : ["gaps", since, until],
    queryFn: async () => unwrap(await api.GET("/api/v1/gaps", { params: { query: { ...(since ? { since } : {}), ...(until ? { until } : {}) } } })),
    // What took no time is touched by no gap, and the API refuses a period without one.
    enabled: since === undefined || until === undefined || Date.parse(since) < Date.parse(until),
    placeholderData: until === undefined ? keepPreviousData : undefined,
    refetchInterval: REFRESH_MS,
  });
}
