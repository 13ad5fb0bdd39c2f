import type { TFunction } from "i18next";
import { Problem } from "../api/client";

/** Says what went wrong: in the server's words, or, where it gave none, that it was not reached; a browser's own words name no cause. */
export function problemText(t: TFunction, error: Error): string {
  return error instanceof Problem ? error.message || t("error.status", { status: error.status }) : t("error.unreachable");
}
