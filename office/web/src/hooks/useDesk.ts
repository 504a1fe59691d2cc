import { useEffect, useReducer, useRef, useState } from "react";
import { fateOf, signedIn } from "../state/api.ts";
import { keepAsking } from "../state/asking.ts";
import { askAfter, currentCall, NEW_DESK, reduce } from "../state/desk.ts";
import { Feed, type FeedStatus, type Source } from "../state/feed.ts";
import { PROOF_LOST_MS, sight } from "../state/freshness.ts";
import { lineView } from "../view/line.ts";
import type { FeedEvent } from "../wire.ts";

/** The grid on which ages are looked at again. */
const TICK_MS = 250;
/** A gap in that grid of this much is the browser's (it throttles, or was busy): events may be waiting unread. */
const STILL_MS = 500;

/** The live state of the desk, the time on this machine's monotonic clock, and a way to reconnect at once. */
export function useDesk(onSignedOut: () => void) {
  const [state, dispatch] = useReducer(reduce, NEW_DESK);
  const [now, setNow] = useState(() => performance.now());
  const feed = useRef<Feed | null>(null);

  useEffect(() => {
    let before = performance.now();
    const timer = setInterval(() => {
      const at = performance.now();
      const late = at - before - TICK_MS;
      before = at;
      if (late >= STILL_MS) dispatch({ type: "stood_still", ms: late, now: at });
      setNow(at);
    }, TICK_MS);
    return () => clearInterval(timer);
  }, []);

  useEffect(() => {
    const hooks = {
      event: (event: FeedEvent) => dispatch({ type: "feed", event, now: performance.now() }),
      status: (status: FeedStatus) => dispatch({ type: "link", status, now: performance.now() }),
      refused: async () => {
        const answer = await signedIn();
        if (!answer.ok && answer.problem?.status === 401) onSignedOut();
      },
    };
    const live = new Feed(hooks, () => new EventSource("/api/v1/events") as Source);
    feed.current = live;
    hooks.status("connecting");
    live.start(performance.now());
    return () => live.stop();
  }, [onSignedOut]);

  const asked = askAfter(state);
  useEffect(() => {
    if (asked === null) return;
    return keepAsking(async () => {
      const answer = await fateOf(asked);
      if (answer.ok) dispatch({ type: "fate", ...answer.value });
      else if (answer.problem?.status === 401) onSignedOut();
    });
  }, [asked, onSignedOut]);

  const call = currentCall(state);
  const line = call === null ? null : lineView(state, call, now);
  const link = sight(state.link, now);
  const dead = state.link.status === "live" && link.lost;
  const silent = dead || (line?.banner != null && state.door === "up");

  // A stream can look open while nothing comes through it any more.
  useEffect(() => {
    if (silent && now > PROOF_LOST_MS) feed.current?.renew(now);
  }, [silent, now]);

  const reconnect = () => feed.current?.start(performance.now());
  return { state, dispatch, link, call, line, reconnect };
}
