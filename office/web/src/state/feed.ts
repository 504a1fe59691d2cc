/** The live events of the console. The browser itself reconnects and says which event it saw last. */

import { FEED_EVENTS, type FeedEvent } from "../wire.ts";

export type FeedStatus = "connecting" | "live" | "lost";

export type FeedHooks = {
  event: (event: FeedEvent) => void;
  status: (status: FeedStatus) => void;
  /** The server answered with something other than a stream: the session may be over. */
  refused: () => void;
};

/** The part of `EventSource` that is used, so that a test can stand in for it. */
export type Source = {
  readyState: number;
  onopen: (() => void) | null;
  onerror: (() => void) | null;
  addEventListener: (name: string, listener: (message: { data: string }) => void) => void;
  close: () => void;
};

const CLOSED = 2;
const RETRY_MS = 2_000;
/** A stream that looks alive but carries no proofs is opened anew, but not more often than this. */
const RENEW_MS = 5_000;

export class Feed {
  #hooks: FeedHooks;
  #open: () => Source;
  #source: Source | null = null;
  #retry: ReturnType<typeof setTimeout> | null = null;
  #opened = Number.NEGATIVE_INFINITY;

  constructor(hooks: FeedHooks, open: () => Source) {
    this.#hooks = hooks;
    this.#open = open;
  }

  /** Connects anew; the console answers with a snapshot. */
  start(now: number): void {
    this.stop();
    this.#opened = now;
    this.#source = this.#open();
    this.#listen(this.#source);
  }

  /** Connects anew, unless that was just done. */
  renew(now: number): void {
    if (now - this.#opened >= RENEW_MS) this.start(now);
  }

  stop(): void {
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = null;
    this.#source?.close();
    this.#source = null;
  }

  #listen(source: Source): void {
    source.onopen = () => this.#hooks.status("live");
    source.onerror = () => this.#failed(source);
    for (const name of FEED_EVENTS) {
      source.addEventListener(name, (message) => {
        const event = parse(name, message.data);
        if (event !== null && source === this.#source) this.#hooks.event(event);
      });
    }
  }

  #failed(source: Source): void {
    if (source !== this.#source) return;
    this.#hooks.status("lost");
    if (source.readyState !== CLOSED) return;
    this.#hooks.refused();
    this.#retry ??= setTimeout(() => this.start(performance.now()), RETRY_MS);
  }
}

/** A line that is not JSON is dropped: the snapshot after the next reconnect heals it. */
function parse(name: (typeof FEED_EVENTS)[number], data: string): FeedEvent | null {
  try {
    return { event: name, data: JSON.parse(data) } as FeedEvent;
  } catch {
    return null;
  }
}
