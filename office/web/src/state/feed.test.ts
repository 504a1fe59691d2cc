import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { FeedEvent } from "../wire.ts";
import { Feed, type Source } from "./feed.ts";

class FakeSource implements Source {
  readyState = 0;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  closed = false;
  #listeners = new Map<string, (message: { data: string }) => void>();

  addEventListener(name: string, listener: (message: { data: string }) => void) {
    this.#listeners.set(name, listener);
  }
  close() {
    this.closed = true;
  }
  send(name: string, data: string) {
    this.#listeners.get(name)?.({ data });
  }
}

function watched() {
  const sources: FakeSource[] = [];
  const heard: FeedEvent[] = [];
  const statuses: string[] = [];
  let refused = 0;
  const hooks = {
    event: (event: FeedEvent) => heard.push(event),
    status: (status: string) => statuses.push(status),
    refused: () => {
      refused += 1;
    },
  };
  const feed = new Feed(hooks, () => {
    sources.push(new FakeSource());
    return sources.at(-1) as FakeSource;
  });
  feed.start(0);
  return { feed, sources, heard, statuses, refused: () => refused, last: () => sources.at(-1) as FakeSource };
}

describe("the feed", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("hands_events_on_and_drops_what_is_not_json", () => {
    const { heard, last } = watched();
    last().send("door", '{"state":"down"}');
    last().send("door", "<html>");
    expect(heard).toEqual([{ event: "door", data: { state: "down" } }]);
  });

  it("leaves_reconnecting_to_the_browser_while_the_browser_does_it", () => {
    const { sources, statuses, last, refused } = watched();
    last().onopen?.();
    last().onerror?.();
    vi.advanceTimersByTime(10_000);
    expect(statuses).toEqual(["live", "lost"]);
    expect([sources.length, refused()]).toEqual([1, 0]);
  });

  it("opens_anew_after_the_server_refused_and_asks_whether_the_session_is_over", () => {
    const { sources, last, refused } = watched();
    last().readyState = 2;
    last().onerror?.();
    expect(refused()).toBe(1);
    vi.advanceTimersByTime(2_000);
    expect(sources.length).toBe(2);
  });

  it("a_silent_stream_is_renewed_but_not_in_a_storm", () => {
    const { feed, sources } = watched();
    feed.renew(4_000);
    expect(sources.length).toBe(1);
    feed.renew(6_000);
    feed.renew(7_000);
    expect(sources.length).toBe(2);
    expect(sources[0]?.closed).toBe(true);
  });

  it("a_stopped_feed_stays_stopped", () => {
    const { feed, sources, last } = watched();
    last().readyState = 2;
    last().onerror?.();
    feed.stop();
    vi.advanceTimersByTime(10_000);
    expect(sources.length).toBe(1);
  });
});
