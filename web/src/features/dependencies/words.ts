import type { TFunction } from "i18next";
import type { Dependency } from "../../api/queries";
import { percent, seconds } from "../../ui/format";
import type { DependencySearch } from "./search";

/** What a dependency is called: its host, or the databases behind it where they are told; else only its kind. */
export function nameOf(dependency: Dependency, t: TFunction): string {
  const kind = t(`dependency.kinds.${dependency.kind}`);
  if (dependency.host) return dependency.host;
  const targets = dependency.targets.map((each) => each.target).filter(Boolean);
  return targets.length > 0 ? `${kind} ${targets.join(", ")}` : kind;
}

/** Why it is not good, as a sentence; empty when there is nothing to say. */
export function reasonOf(dependency: Dependency, t: TFunction): string {
  const { reason } = dependency;
  if (reason === null) return "";
  if (reason.kind === "errors") {
    return t("dependency.reasons.errors", { errors: dependency.errors, calls: dependency.calls, ratio: percent(reason.value) });
  }
  if (reason.kind === "slower") {
    return t("dependency.reasons.slower", { now: seconds(reason.value), before: seconds(dependency.p95_before_s) });
  }
  return t("dependency.reasons.pool_wait", { wait: seconds(reason.value) });
}

/** What tells calls of one dependency apart: "SELECT orders", "HGET", "POST 503". */
export function partName(labels: Record<string, string>, t: TFunction): string {
  const { http_status: status } = labels;
  const values = Object.values({ ...labels, ...(status === "error" ? { http_status: t("dependency.noAnswer") } : {}) });
  return values.filter(Boolean).join(" ") || t("dependency.allCalls");
}

/** A name for the address that is the same in every language. */
export function partKey(labels: Record<string, string>): string {
  return Object.values(labels).join(" ");
}

/** Where the page of a dependency is. */
export function place(dependency: Dependency, window?: DependencySearch["window"]) {
  return {
    to: "/dependencies/$service/$kind" as const,
    params: { service: dependency.service, kind: dependency.kind },
    search: { ...(window ? { window } : {}), ...(dependency.host ? { host: dependency.host } : {}) },
  };
}
