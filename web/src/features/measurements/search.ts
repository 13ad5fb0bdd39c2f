/** Of what buckets are compared: a task, an endpoint (`GET /orders`), or all tasks. */
export interface MeasurementsSearch {
  service?: string;
  task?: string;
  endpoint?: string;
}

export function readMeasurementsSearch(search: Record<string, unknown>): MeasurementsSearch {
  const text = (name: string) => (typeof search[name] === "string" && search[name] !== "" ? (search[name] as string) : undefined);
  const [service, task, endpoint] = [text("service"), text("task"), text("endpoint")];
  if (task === undefined && endpoint === undefined) return {};
  return { ...(service ? { service } : {}), ...(task ? { task } : endpoint ? { endpoint } : {}) };
}
