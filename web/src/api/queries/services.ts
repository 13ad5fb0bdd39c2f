/** Questions about services: their endpoints, deploys, kept requests, what they call and where time goes. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { api, unwrap, type Schemas } from "../client";
import { REFRESH_MS } from "./refresh";

export type Deploy = Schemas["Deploy"];
export type Service = Schemas["Service"];
export type Endpoint = Schemas["Endpoint"];
export type Cause = Schemas["Cause"];
export type CauseExample = Schemas["CauseExample"];
export type Compared = Schemas["Compared"];
export type Standout = Schemas["CauseStandout"];
export type KeptRequest = Schemas["KeptRequest"];
export type Dependency = Schemas["Dependency"];
export type DependencyPart = Schemas["DependencyPart"];

/** Deploys of a service (of all services without one) since a time. */
export function useDeploys(since: string | undefined, service: string | undefined) {
  return useQuery({
    queryKey: ["deploys", since, service],
    queryFn: async () =>
      unwrap(await api.GET("/api/v1/deploys", { params: { query: { ...(since ? { since } : {}), ...(service ? { service } : {}) } } })),
    placeholderData: keepPreviousData,
    refetchInterval: REFRESH_MS,
  });
}

/** Figures before and after a deploy, of an endpoint, a task, or all requests of the service. */
export function useDeployEffect(deploy_id: number, of: { service?: string; endpoint?: string; task?: string }) {
  return useQuery({
    queryKey: ["deploys", "effect", deploy_id, of],
    queryFn: async () => unwrap(await api.GET("/api/v1/deploys/{deploy_id}/effect", { params: { path: { deploy_id }, query: of } })),
    placeholderData: keepPreviousData,
    refetchInterval: REFRESH_MS,
  });
}

export function useServices(window_s: number) {
  return useQuery({
    queryKey: ["services", window_s],
    queryFn: async () => unwrap(await api.GET("/api/v1/services", { params: { query: { window_s } } })),
    placeholderData: keepPreviousData,
    refetchInterval: REFRESH_MS,
  });
}

export function useEndpoints(window_s: number, service: string) {
  return useQuery({
    queryKey: ["endpoints", window_s, service],
    queryFn: async () => unwrap(await api.GET("/api/v1/endpoints", { params: { query: { window_s, service: [service] } } })),
    placeholderData: keepPreviousData,
    refetchInterval: REFRESH_MS,
  });
}

/** Every endpoint of every service that answered in the window. */
export function useAllEndpoints(window_s: number) {
  return useQuery({
    queryKey: ["endpoints", window_s],
    queryFn: async () => unwrap(await api.GET("/api/v1/endpoints", { params: { query: { window_s } } })),
    placeholderData: keepPreviousData,
    refetchInterval: 12 * REFRESH_MS,
  });
}

/** Of what the slowest are asked: an endpoint, a task, or every endpoint of a service. */
export interface CauseQuery {
  service?: string;
  endpoint?: string;
  task?: string;
  since?: string;
  until?: string;
}

export function useCauses(query: CauseQuery) {
  return useQuery({
    queryKey: ["causes", query],
    queryFn: async () => unwrap(await api.GET("/api/v1/causes", { params: { query } })),
    placeholderData: keepPreviousData,
    refetchInterval: REFRESH_MS,
  });
}

/** A request that was kept as an example. */
export function useKeptRequest(number: number) {
  return useQuery({
    queryKey: ["requests", number],
    queryFn: async () => unwrap(await api.GET("/api/v1/requests/{number}", { params: { path: { number } } })),
    retry: false,
  });
}

/** Everything that services call, those that need somebody first. */
export function useDependencies(window_s: number) {
  return useQuery({
    queryKey: ["dependencies", window_s],
    queryFn: async () => unwrap(await api.GET("/api/v1/dependencies", { params: { query: { window_s } } })),
    placeholderData: keepPreviousData,
    refetchInterval: REFRESH_MS,
  });
}
