import type { Deploy } from "../api/queries";
import type { ChartMark } from "../ui/TimeChart";

/** Deploys as marks of a chart; where it shows several services, each says of which it is. */
export function marksOf(deploys: readonly Deploy[], from: number, to: number, service?: string): ChartMark[] {
  return deploys
    .map((deploy) => ({ at: Date.parse(deploy.at) / 1000, label: service === undefined && deploy.service ? `${deploy.service} ${deploy.version}` : deploy.version }))
    .filter((mark) => mark.at >= from && mark.at <= to);
}
