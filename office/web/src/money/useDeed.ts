import { useCallback, useRef, useState } from "react";
import type { Answer } from "../state/api.ts";
import { newKey } from "../state/keys.ts";
import { problemWords, surelyNotDone } from "../view/problems.ts";
import type { Told } from "./Frame.tsx";

type Failed = Extract<Answer<unknown>, { ok: false }>;

/** One press, one deed: its key stays until it is known to be done or not, so that pressing again is safe. */
export function useDeed(onSignedOut: () => void) {
  const [told, setTold] = useState<Told>(null);
  const [busy, setBusy] = useState(false);
  const keys = useRef(new Map<string, string>());

  const fail = useCallback(
    (failed: Failed) => {
      if (failed.problem?.status === 401) return onSignedOut();
      setTold({ tone: "bad", words: wordsOf(failed) });
    },
    [onSignedOut],
  );

  const run = useCallback(
    async <T>(name: string, deed: (key: string) => Promise<Answer<T>>, done: (value: T) => string) => {
      const key = keys.current.get(name) ?? newKey();
      keys.current.set(name, key);
      setBusy(true);
      setTold(null);
      const answer = await deed(key);
      setBusy(false);
      if (answer.ok || surelyNotDone(answer)) keys.current.delete(name);
      if (!answer.ok) return fail(answer);
      setTold({ tone: "ok", words: done(answer.value) });
    },
    [fail],
  );
  return { told, setTold, busy, fail, run };
}

/** The desk's words are for calls; what these pages are told has its own way out in `detail`. */
function wordsOf(failed: Failed): string {
  const detail = failed.problem?.detail;
  return detail !== undefined && failed.problem?.code !== "no_right" ? detail : problemWords(failed);
}
