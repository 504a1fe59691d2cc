import { useCallback, useEffect, useRef, useState } from "react";
import { announce, type Moment, QUIET_EVERY_MS } from "../view/announce.ts";

const NOTHING_YET: Moment = { call: null, payment: null, stale: false, ended: null };

/** The words of the two live regions. Quiet words wait their turn; only the newest of those waiting is said. */
export function useAnnouncer(moment: Moment) {
  const before = useRef(NOTHING_YET);
  const said = useRef(Number.NEGATIVE_INFINITY);
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  const [loud, setLoud] = useState("");
  const [quiet, setQuiet] = useState("");

  const sayQuietly = useCallback((words: string) => {
    if (timer.current !== null) clearTimeout(timer.current);
    const wait = Math.max(0, said.current + QUIET_EVERY_MS - performance.now());
    timer.current = setTimeout(() => {
      said.current = performance.now();
      setQuiet(words);
    }, wait);
  }, []);

  useEffect(() => {
    const words = announce(before.current, moment);
    before.current = moment;
    if (words.loud !== null) setLoud(words.loud);
    if (words.quiet !== null) sayQuietly(words.quiet);
  }, [moment, sayQuietly]);

  // The same words twice are only read twice if the region was empty in between.
  const sayLoudly = useCallback((words: string) => {
    setLoud("");
    setTimeout(() => setLoud(words), 50);
  }, []);

  return { loud, quiet, sayLoudly, sayQuietly };
}
