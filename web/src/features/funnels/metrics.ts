import type { Signal } from "../../api/queries";

/** The metrics that applications declare themselves, one signal each; of one service if it is given. */
export function ownMetrics(signals: readonly Signal[], known: readonly { metric: string; service: string }[], service: string | undefined): Signal[] {
  const of = new Set(known.filter((each) => service === undefined || each.service === service).map((each) => each.metric));
  return signals.filter(({ id, panel }) => panel.section === "business" && panel.joins === "" && id.includes(":") && of.has(id.slice(id.indexOf(":") + 1)));
}
