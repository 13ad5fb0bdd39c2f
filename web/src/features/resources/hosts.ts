import type { HostResources } from "../../api/queries";
import { HOST_MEASURES, type HostMeasure } from "./scale";

export type HostSource = "node-exporter" | "psutil";

/** The value of now; null while nobody tells it. */
export function last(values: (number | null)[]): number | null {
  return values[values.length - 1] ?? null;
}

/** Who tells of a host, and what each tells; empty while nobody does. */
export function sourcesOf(host: Pick<HostResources, "sources">): { source: HostSource; measures: HostMeasure[] }[] {
  const known: HostSource[] = ["node-exporter", "psutil"];
  return known
    .map((source) => ({ source, measures: HOST_MEASURES.filter((measure) => host.sources[measure] === source) }))
    .filter((each) => each.measures.length > 0);
}
