/** Questions about tasks, and where they wait, run and are planned. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { api, unwrap, type Schemas } from "../client";
import { REFRESH_MS } from "./refresh";

export type Queue = Schemas["Queue"];
export type Worker = Schemas["Worker"];
export type Task = Schemas["Task"];
export type Schedule = Schemas["Schedule"];
export type ScheduleDetail = Schemas["ScheduleDetail"];
export type ScheduleSlot = Schemas["ScheduleSlot"];

export function useQueues() {
  return useQuery({
    queryKey: ["queues"],
    queryFn: async () => unwrap(await api.GET("/api/v1/queues")),
    refetchInterval: REFRESH_MS,
  });
}

/** Every queue held against its broker, with the runs that do not add up. */
export function useLedger() {
  return useQuery({
    queryKey: ["queues", "ledger"],
    queryFn: async () => unwrap(await api.GET("/api/v1/ledger")),
    refetchInterval: REFRESH_MS,
  });
}

/** Every worker known; a `down` one is asked for like the others, so that the counts beside the choices are whole. */
export function useWorkers() {
  return useQuery({
    queryKey: ["workers"],
    queryFn: async () => unwrap(await api.GET("/api/v1/workers")),
    refetchInterval: REFRESH_MS,
  });
}

export function useSchedules() {
  return useQuery({
    queryKey: ["schedules"],
    queryFn: async () => unwrap(await api.GET("/api/v1/schedules")),
    refetchInterval: REFRESH_MS,
  });
}

export function useSchedule(service: string, framework: string, schedule_id: string) {
  return useQuery({
    queryKey: ["schedules", service, framework, schedule_id],
    queryFn: async () =>
      unwrap(
        await api.GET("/api/v1/schedules/{service}/{framework}/{schedule_id}", {
          params: { path: { service, framework, schedule_id } },
        }),
      ),
    refetchInterval: REFRESH_MS,
  });
}

export function useTasks(window_s: number) {
  return useQuery({
    queryKey: ["tasks", window_s],
    queryFn: async () => unwrap(await api.GET("/api/v1/tasks", { params: { query: { window_s } } })),
    placeholderData: keepPreviousData,
    refetchInterval: REFRESH_MS,
  });
}
