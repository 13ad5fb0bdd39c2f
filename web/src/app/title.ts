import type { TFunction } from "i18next";

/** The pages of the navigation by the first part of their address. */
const PAGES = ["incidents", "services", "dependencies", "funnels", "resources", "measurements", "runs", "tasks", "queues", "workers", "schedules", "failures"] as const;

/** Of which page of the navigation a page is that has an address of its own. */
const WITHIN: Record<string, (typeof PAGES)[number]> = { endpoints: "services", requests: "services" };

/**
 * What the browser calls a page, in its tab, its history and its bookmarks: the thing first, for tabs are narrow.
 *
 * @param path The address without its host.
 * @param search What stands behind the question mark.
 */
export function titleOf(t: TFunction, path: string, search: Record<string, unknown>): string {
  const [first = "", ...rest] = path.split("/").filter(Boolean).map(decoded);
  const page = PAGES.find((one) => one === (WITHIN[first] ?? first));
  const list = first === "" ? t("nav.overview") : page ? t(`nav.${page}`) : t("notFound.title");
  return [...new Set([thing(t, first, rest, search), list, t("brand")])].filter(Boolean).join(" · ");
}

/** What of its kind the page is about. */
function thing(t: TFunction, first: string, rest: string[], search: Record<string, unknown>): string {
  if (first === "tasks" && rest[0] === "one") return words(search.task);
  if (first === "endpoints") return [words(search.method), words(search.endpoint)].filter(Boolean).join(" ");
  if ((first === "incidents" || first === "requests") && rest[0]) return `#${rest[0]}`;
  if (first === "dependencies" && rest[1]) {
    const kind = t(`dependency.kinds.${rest[1] as "database"}`, { defaultValue: rest[1] });
    return [kind, words(search.target), rest[0]].filter(Boolean).join(" ");
  }
  return rest.at(-1) ?? "";
}

function words(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

/** A part of an address as it was before it was put in there; as it is when it is none. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
