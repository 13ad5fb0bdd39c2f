import type { TFunction } from "i18next";
import type { FailureGroup } from "../../api/queries";
import { shortType } from "../../ui/format";
import { reasonText } from "../../ui/reason";

/**
 * What a group of failures is called: the exception's own words with its class alone, for modules are long and the tasks
 * below say where; of runs that ended without an exception their state and why, in the language of the page.
 */
export function headline(t: TFunction, group: Pick<FailureGroup, "type" | "title" | "reason" | "reason_code" | "reason_params">): string {
  if (group.reason) return t("failures.ended", { state: t(`state.${group.type}`, { defaultValue: group.type }), reason: reasonText(t, group) });
  return group.title.startsWith(group.type) ? shortType(group.type) + group.title.slice(group.type.length) : group.title;
}
