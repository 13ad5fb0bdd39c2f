import type { TFunction } from "i18next";
import type { Dependency } from "../../api/queries";
import { percent, seconds } from "../../ui/format";
import type { DependencySearch } from "./search";

/** What a dependency is called: a service or mail server its host, a database or Redis with its kind before it. */
export function nameOf(dependency: Dependency, t: TFunction): string {
  const { kind, target } = dependency;
  const hosts = kind === "http" || kind === "smtp";
  return hosts && target ? target : [t(`dependency.kinds.${kind}`), target].filter(Boolean).join(" ");
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
    search: { ...(window ? { window } : {}), ...(dependency.target ? { target: dependency.target } : {}) },
  };
}
