/** Every question the page asks, one hook each. The first element of a key is the noun that live topics make stale. */

export * from "./incidents";
export * from "./measurements";
export * from "./overview";
export * from "./runs";
export * from "./services";
export * from "./session";
export * from "./work";
