/** The server's live stream: one EventSource for the page, topics to listeners, an honest connection state. */

export type Connection = "connecting" | "live" | "lost";
export type Listener = (data: unknown) => void;

export const TOPICS = ["runs", "counts", "alerts", "incidents", "workers", "queues", "failures", "resync"] as const;
export type Topic = (typeof TOPICS)[number];

export interface StreamOptions {
  url?: string;
  /** Reconnect delay, milliseconds; doubles to at most 15 s. */
  retryMs?: number;
  makeSource?: (url: string) => EventSource;
}

export class LiveStream {
  private source: EventSource | null = null;
  private listeners = new Map<Topic, Set<Listener>>();
  private watchers = new Set<() => void>();
  private timer: ReturnType<typeof setTimeout> | null = null;
  private attempts = 0;
  private stopped = true;
  connection: Connection = "connecting";
  lostSince: number | null = null;

  constructor(private readonly options: StreamOptions = {}) {}

  start(): void {
    this.stopped = false;
    this.open();
  }

  stop(): void {
    this.stopped = true;
    if (this.timer) clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  on(topic: Topic, listener: Listener): () => void {
    const set = this.listeners.get(topic) ?? new Set<Listener>();
    set.add(listener);
    this.listeners.set(topic, set);
    return () => set.delete(listener);
  }

  /** Be called whenever `connection` changes. */
  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  private open(): void {
    const url = this.options.url ?? "/api/v1/stream";
    const source = (this.options.makeSource ?? ((u: string) => new EventSource(u)))(url);
    this.source = source;
    source.addEventListener("hello", () => {
      const wasLost = this.connection === "lost";
      this.attempts = 0;
      this.become("live");
      // What happened while the line was down is not replayed: everything shown has to be asked for again.
      if (wasLost) this.tell("resync", {});
    });
    for (const topic of TOPICS) {
      source.addEventListener(topic, (event) => {
        this.tell(topic, parse((event as MessageEvent<string>).data));
      });
    }
    source.onerror = () => {
      source.close();
      if (this.stopped || this.source !== source) return;
      this.become("lost");
      const delay = Math.min(15_000, (this.options.retryMs ?? 1_000) * 2 ** this.attempts++);
      this.timer = setTimeout(() => {
        if (!this.stopped) this.open();
      }, delay);
    };
  }

  private tell(topic: Topic, data: unknown): void {
    for (const listener of this.listeners.get(topic) ?? []) listener(data);
  }

  private become(connection: Connection): void {
    if (this.connection === connection) return;
    this.connection = connection;
    this.lostSince = connection === "lost" ? Date.now() : null;
    for (const watcher of this.watchers) watcher();
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
