import { useQueryClient } from "@tanstack/react-query";
import { createContext, useContext, useEffect, useMemo, useSyncExternalStore, type ReactNode } from "react";
import { LiveStream, TOPICS, type Connection, type Topic } from "./stream";

const Context = createContext<LiveStream | null>(null);

/** Which cached answers a topic makes stale: the first element of a query key is the noun it shows. */
const STALE: Record<Topic, readonly string[]> = {
  runs: ["runs", "run", "overview"],
  counts: ["counts", "overview"],
  alerts: ["alerts", "overview", "rules"],
  incidents: ["incidents", "incident", "overview"],
  workers: ["workers", "overview"],
  queues: ["queues", "overview"],
  failures: ["failures"],
  resync: ["runs", "run", "counts", "alerts", "incidents", "incident", "workers", "queues", "failures", "overview", "signals", "tasks", "gaps"],
};

/** At most one refetch per noun in this time, however fast the stream is. */
const COALESCE_MS = 700;

export function LiveProvider({ children, stream }: { children: ReactNode; stream?: LiveStream }) {
  const live = useMemo(() => stream ?? new LiveStream(), [stream]);
  const client = useQueryClient();
  useEffect(() => {
    const due = new Set<string>();
    let timer: ReturnType<typeof setTimeout> | null = null;
    const flush = () => {
      timer = null;
      const nouns = [...due];
      due.clear();
      for (const noun of nouns) void client.invalidateQueries({ queryKey: [noun] });
    };
    const off = TOPICS.map((topic) =>
      live.on(topic, () => {
        for (const noun of STALE[topic]) due.add(noun);
        timer ??= setTimeout(flush, COALESCE_MS);
      }),
    );
    live.start();
    return () => {
      off.forEach((stop) => stop());
      if (timer) clearTimeout(timer);
      live.stop();
    };
  }, [live, client]);
  return <Context.Provider value={live}>{children}</Context.Provider>;
}

export function useLive(): LiveStream {
  const live = useContext(Context);
  if (!live) throw new Error("useLive: expected a LiveProvider above, got none");
  return live;
}

export function useConnection(): { connection: Connection; lostSince: number | null } {
  const live = useLive();
  const connection = useSyncExternalStore(
    (changed) => live.watch(changed),
    () => live.connection,
  );
  return { connection, lostSince: live.lostSince };
}
