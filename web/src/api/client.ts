import createClient from "openapi-fetch";
import type { components, paths } from "./schema.generated";

export type Schemas = components["schemas"];

/** Fetch typed by the server's OpenAPI document; same origin, session cookie. */
export const api = createClient<paths>({ baseUrl: "", credentials: "same-origin" });

/** An RFC 9457 problem document, as an error whose message a person can act on. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
  ) {
    super(detail || title);
    this.name = "Problem";
  }
}

/** Return the data of an answer or throw its problem. */
export function unwrap<T>(answer: { data?: T; error?: unknown; response: Response }): T {
  if (answer.error === undefined && answer.data !== undefined) return answer.data;
  const problem = (answer.error ?? {}) as { title?: string; detail?: string };
  throw new Problem(answer.response.status, problem.title ?? answer.response.statusText, problem.detail ?? "");
}
