import type { TFunction } from "i18next";

/** What the server says a reason with: its sentence, and the code and particulars of that sentence where it is its own. */
export interface Explained {
  reason: string;
  reason_code?: string;
  reason_params?: Record<string, string>;
}

/** Says why, in the language of the page; what others said in their own words stays as it is. */
export function reasonText(t: TFunction, { reason, reason_code: code, reason_params: told }: Explained): string {
  if (!code) return reason;
  const { why_code: inner, ...params } = { ...told };
  if (inner) params.why = say(t, inner, within(params), params.why ?? "");
  return say(t, code, params, reason);
}

/** The particulars of a reason within a reason. */
function within(params: Record<string, string>): Record<string, string> {
  const own = Object.entries(params).filter(([name]) => name.startsWith("why_"));
  return { text: params.why ?? "", ...Object.fromEntries(own.map(([name, value]) => [name.slice("why_".length), value])) };
}

function say(t: TFunction, code: string, params: Record<string, string>, otherwise: string): string {
  const key: string = `reasons.${code}`;
  return (t as (key: string, options: object) => string)(key, { ...params, defaultValue: otherwise });
}
