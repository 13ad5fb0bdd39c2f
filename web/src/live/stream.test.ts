import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { LiveStream } from "./stream";

class Source extends EventTarget {
  static opened: Source[] = [];
  onerror: (() => void) | null = null;
  closed = false;
  constructor(readonly url: string) {
    super();
    Source.opened.push(this);
  }
  close(): void {
    this.closed = true;
  }
  say(topic: string, data: unknown): void {
    this.dispatchEvent(new MessageEvent(topic, { data: typeof data === "string" ? data : JSON.stringify(data) }));
  }
}

const latest = () => Source.opened[Source.opened.length - 1] as Source;

beforeEach(() => {
  Source.opened = [];
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function started() {
  const live = new LiveStream({ makeSource: (url) => new Source(url) as unknown as EventSource });
  live.start();
  return live;
}

it("is live only once the server has said hello", () => {
  const live = started();
  expect(live.connection).toBe("connecting");
  latest().say("hello", {});
  expect(live.connection).toBe("live");
});

it("hands a message to the listeners of its topic alone", () => {
  const live = started();
  const runs = vi.fn();
  const alerts = vi.fn();
  live.on("runs", runs);
  live.on("alerts", alerts);
  latest().say("runs", { items: [1] });
  expect(runs).toHaveBeenCalledWith({ items: [1] });
  expect(alerts).not.toHaveBeenCalled();
});

it("says that the line is lost, tries again, and asks for everything anew once it is back", () => {
  const live = started();
  const changed = vi.fn();
  const resync = vi.fn();
  live.watch(changed);
  live.on("resync", resync);
  latest().say("hello", {});
  expect(resync).not.toHaveBeenCalled();
  latest().onerror?.();
  expect(live.connection).toBe("lost");
  expect(live.lostSince).not.toBeNull();
  expect(latest().closed).toBe(true);
  vi.advanceTimersByTime(1_000);
  expect(Source.opened).toHaveLength(2);
  latest().say("hello", {});
  expect(live.connection).toBe("live");
  expect(resync).toHaveBeenCalledTimes(1);
  expect(changed).toHaveBeenCalledTimes(3);
});

it("waits longer after each failure, fifteen seconds at most", () => {
  started();
  for (let failure = 0; failure < 8; failure++) {
    latest().onerror?.();
    const opened = Source.opened.length;
    vi.advanceTimersByTime(Math.min(15_000, 1_000 * 2 ** failure) - 1);
    expect(Source.opened).toHaveLength(opened);
    vi.advanceTimersByTime(1);
    expect(Source.opened).toHaveLength(opened + 1);
  }
});

it("survives a message that is not JSON", () => {
  const live = started();
  const runs = vi.fn();
  live.on("runs", runs);
  latest().say("runs", "not json");
  expect(runs).toHaveBeenCalledWith({});
});

it("opens nothing more once stopped", () => {
  const live = started();
  latest().onerror?.();
  live.stop();
  vi.advanceTimersByTime(60_000);
  expect(Source.opened).toHaveLength(1);
});
