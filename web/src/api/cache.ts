import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { Problem } from "./client";

const UNKNOWN = 401;

/** Answers of the server, kept for a moment. Where it no longer knows who asks, it is asked whether it wants its token. */
export function answers(): QueryClient {
  const refused = (error: unknown, of: unknown) => {
    if (error instanceof Problem && error.status === UNKNOWN && of !== "session") void client.invalidateQueries({ queryKey: ["session"] });
  };
  const client: QueryClient = new QueryClient({
    queryCache: new QueryCache({ onError: (error, query) => refused(error, query.queryKey[0]) }),
    mutationCache: new MutationCache({ onError: (error) => refused(error, undefined) }),
    defaultOptions: {
      queries: {
        staleTime: 1_000,
        // What is not there, or not allowed, is not there a moment later either.
        retry: (failures, error) => failures < 1 && !(error instanceof Problem && error.status < 500),
        refetchOnWindowFocus: false,
      },
    },
  });
  return client;
}
