/** Questions about incidents, and the steps people take in them. */

import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, unwrap, type Schemas } from "../client";
import { REFRESH_MS } from "./refresh";

export type Incident = Schemas["Incident"];
export type IncidentDetail = Schemas["IncidentDetail"];

export function useIncidents(states: string[]) {
  return useQuery({
    queryKey: ["incidents", states],
    queryFn: async () =>
      unwrap(await api.GET("/api/v1/incidents", { params: { query: { state: states, limit: 100 } as object } })),
    placeholderData: keepPreviousData,
  });
}

export function useIncident(id: number) {
  return useQuery({
    queryKey: ["incident", id],
    queryFn: async () =>
      unwrap(await api.GET("/api/v1/incidents/{incident_id}", { params: { path: { incident_id: id } } })),
    refetchInterval: REFRESH_MS,
  });
}

export type Step = "acknowledge" | "resolve" | "comment";

export function useIncidentStep(id: number) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async ({ step, by, note }: { step: Step; by: string; note: string }) => {
      const options = { params: { path: { incident_id: id } }, body: { by, note } };
      if (step === "acknowledge") return unwrap(await api.POST("/api/v1/incidents/{incident_id}/acknowledge", options));
      if (step === "resolve") return unwrap(await api.POST("/api/v1/incidents/{incident_id}/resolve", options));
      return unwrap(await api.POST("/api/v1/incidents/{incident_id}/comment", options));
    },
    onSettled: () => {
      for (const noun of ["incident", "incidents", "overview"]) void client.invalidateQueries({ queryKey: [noun] });
    },
  });
}
