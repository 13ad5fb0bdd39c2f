import { createRootRoute, createRoute, createRouter } from "@tanstack/react-router";
import { RequestPage } from "../features/causes/RequestPage";
import { DependenciesPage } from "../features/dependencies/DependenciesPage";
import { DependencyPage } from "../features/dependencies/DependencyPage";
import { readDependenciesSearch, readDependencySearch } from "../features/dependencies/search";
import { FailuresPage } from "../features/failures/FailuresPage";
import { FunnelsPage } from "../features/funnels/FunnelsPage";
import { readFunnelsSearch } from "../features/funnels/search";
import { IncidentPage } from "../features/incidents/IncidentPage";
import { IncidentsPage } from "../features/incidents/IncidentsPage";
import { MeasurementsPage } from "../features/measurements/MeasurementsPage";
import { readMeasurementsSearch } from "../features/measurements/search";
import { OverviewPage } from "../features/overview/OverviewPage";
import { QueuesPage } from "../features/queues/QueuesPage";
import { ResourcesPage } from "../features/resources/ResourcesPage";
import { readResourcesSearch } from "../features/resources/search";
import { RunPage } from "../features/runs/RunPage";
import { RunsPage } from "../features/runs/RunsPage";
import { readRunSearch } from "../features/runs/search";
import { SchedulePage } from "../features/schedules/SchedulePage";
import { SchedulesPage } from "../features/schedules/SchedulesPage";
import { EndpointPage } from "../features/services/EndpointPage";
import { readEndpointSearch, readServiceSearch, readServicesSearch } from "../features/services/order";
import { ServicePage } from "../features/services/ServicePage";
import { ServicesPage } from "../features/services/ServicesPage";
import { readOneTaskSearch, readTaskSearch } from "../features/tasks/order";
import { TaskPage } from "../features/tasks/TaskPage";
import { TasksPage } from "../features/tasks/TasksPage";
import { readWorkerSearch } from "../features/workers/search";
import { WorkersPage } from "../features/workers/WorkersPage";
import { NotFound } from "./NotFound";
import { Shell } from "./Shell";

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound });

const overview = createRoute({ getParentRoute: () => root, path: "/", component: OverviewPage });
const runs = createRoute({
  getParentRoute: () => root,
  path: "/runs",
  component: RunsPage,
  validateSearch: readRunSearch,
});
const run = createRoute({ getParentRoute: () => root, path: "/runs/$runId", component: RunPage });
const tasks = createRoute({ getParentRoute: () => root, path: "/tasks", component: TasksPage, validateSearch: readTaskSearch });
const task = createRoute({ getParentRoute: () => root, path: "/tasks/one", component: TaskPage, validateSearch: readOneTaskSearch });
const queues = createRoute({ getParentRoute: () => root, path: "/queues", component: QueuesPage });
const workers = createRoute({ getParentRoute: () => root, path: "/workers", component: WorkersPage, validateSearch: readWorkerSearch });
const schedules = createRoute({
  getParentRoute: () => root,
  path: "/schedules",
  component: SchedulesPage,
  validateSearch: (search: Record<string, unknown>): { show?: "wrong" } => (search.show === "wrong" ? { show: "wrong" } : {}),
});
const schedule = createRoute({ getParentRoute: () => root, path: "/schedules/$service/$framework/$scheduleId", component: SchedulePage });
const services = createRoute({ getParentRoute: () => root, path: "/services", component: ServicesPage, validateSearch: readServicesSearch });
const service = createRoute({ getParentRoute: () => root, path: "/services/$service", component: ServicePage, validateSearch: readServiceSearch });
const endpoint = createRoute({ getParentRoute: () => root, path: "/endpoints", component: EndpointPage, validateSearch: readEndpointSearch });
const request = createRoute({ getParentRoute: () => root, path: "/requests/$requestId", component: RequestPage });
const dependencies = createRoute({
  getParentRoute: () => root,
  path: "/dependencies",
  component: DependenciesPage,
  validateSearch: readDependenciesSearch,
});
const dependency = createRoute({
  getParentRoute: () => root,
  path: "/dependencies/$service/$kind",
  component: DependencyPage,
  validateSearch: readDependencySearch,
});
const resources = createRoute({ getParentRoute: () => root, path: "/resources", component: ResourcesPage, validateSearch: readResourcesSearch });
const funnels = createRoute({ getParentRoute: () => root, path: "/funnels", component: FunnelsPage, validateSearch: readFunnelsSearch });
const measurements = createRoute({ getParentRoute: () => root, path: "/measurements", component: MeasurementsPage, validateSearch: readMeasurementsSearch });
const failures = createRoute({ getParentRoute: () => root, path: "/failures", component: FailuresPage });
const incidents = createRoute({
  getParentRoute: () => root,
  path: "/incidents",
  component: IncidentsPage,
  validateSearch: (search: Record<string, unknown>): { show?: "all" } => (search.show === "all" ? { show: "all" } : {}),
});
const incident = createRoute({ getParentRoute: () => root, path: "/incidents/$incidentId", component: IncidentPage });

export const router = createRouter({
  routeTree: root.addChildren([
    ...[overview, runs, run, tasks, task, queues, workers, schedules, schedule],
    ...[services, service, endpoint, request, dependencies, dependency, funnels, resources, measurements],
    ...[failures, incidents, incident],
  ]),
  defaultPreload: "intent",
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
