/** Every question the page asks, one hook each. The first element of a key is the noun that live topics make stale. */

import { keepPreviousData, useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, unwrap, type Schemas } from "./client";

export type Run = Schemas["Run"];
export type Attempt = Schemas["Attempt"];
export type Incident = Schemas["Incident"];
export type IncidentDetail = Schemas["IncidentDetail"];
export type FailureGroup = Schemas["FailureGroup"];
export type Queue = Schemas["Queue"];
export type Worker = Schemas["Worker"];
export type Task = Schemas["Task"];
export type Gap = Schemas["Gap"];
export type Overview = Schemas["Overview"];
export type Schedule = Schemas["Schedule"];
export type ScheduleDetail = Schemas["ScheduleDetail"];
export type ScheduleSlot = Schemas["ScheduleSlot"];
export type Workflow = Schemas["Workflow"];
export type WorkflowNode = Schemas["WorkflowNode"];
export type WorkflowEdge = Schemas["WorkflowEdge"];
export type WorkflowMember = Schemas["WorkflowMember"];
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
export type HostResources = Schemas["HostResources"];
export type NodeExporters = Schemas["NodeExporters"];
export type Funnel = Schemas["Funnel"];
export type FunnelStep = Schemas["FunnelStep"];
export type LabelBudget = Schemas["LabelBudget"];
/** As JSON gives it: the client forgets how long its tuples are. */
export type BucketAdvice = Omit<Schemas["BucketAdvice"], "shape"> & { shape: number[][] };
export type Bounds = Schemas["Bounds"];
export type Signal = Schemas["Signal"];
export type SignalReading = Schemas["SignalReading"];

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

/** Charts and figures that nothing on the stream announces are asked for again this often, milliseconds. */
const REFRESH_MS = 5_000;

export function useOverview() {
  return useQuery({
    queryKey: ["overview"],
    queryFn: async () => unwrap(await api.GET("/api/v1/overview")),
    refetchInterval: REFRESH_MS,
  });
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

/** Every endpoint of every service that answered in the window. */
export function useAllEndpoints(window_s: number) {
  return useQuery({
    queryKey: ["endpoints", window_s],
    queryFn: async () => unwrap(await api.GET("/api/v1/endpoints", { params: { query: { window_s } } })),
    placeholderData: keepPreviousData,
    refetchInterval: 12 * REFRESH_MS,
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

/** The catalogue of signals, and those of the metrics that applications declare. */
export function useSignals() {
  return useQuery({
    queryKey: ["signals", "catalogue"],
    queryFn: async () => unwrap(await api.GET("/api/v1/signals")),
    refetchInterval: 2 * REFRESH_MS,
  });
}

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

export function useSession() {
  return useQuery({
    queryKey: ["session"],
    queryFn: async () => unwrap(await api.GET("/api/v1/session")),
    staleTime: Infinity,
  });
}

export function useLogin() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async (token: string) => unwrap(await api.POST("/api/v1/session", { body: { token } })),
    onSuccess: () => client.invalidateQueries({ queryKey: ["session"] }),
  });
}
