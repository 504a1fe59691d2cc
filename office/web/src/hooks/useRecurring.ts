import { useEffect, useRef, useState } from "react";
import type { Failed } from "../parts/AgreementCard.tsx";
import { clockIsRight, recurringNow } from "../state/api.ts";
import { Keys } from "../state/keys.ts";
import { surelyNotDone } from "../view/problems.ts";
import type { RecurringView } from "../wire.ts";

/** It is looked at again this often. */
const EVERY_MS = 5_000;
const CLOCK = "clock";

/** What recurring payments need people for; null until it is known. */
export function useRecurring(failed: Failed) {
  const [view, setView] = useState<RecurringView | null>(null);
  const [busy, setBusy] = useState(false);
  const keys = useRef(new Keys());

  useEffect(() => {
    let here = true;
    const look = async () => {
      const answer = await recurringNow();
      if (!here) return;
      if (answer.ok) setView(answer.value);
      else failed(answer);
    };
    void look();
    const timer = setInterval(look, EVERY_MS);
    return () => {
      here = false;
      clearInterval(timer);
    };
  }, [failed]);

  /** The clock of the server is right. */
  const sayRight = async () => {
    setBusy(true);
    const answer = await clockIsRight(keys.current.of(CLOCK));
    if (answer.ok || surelyNotDone(answer)) keys.current.answered(CLOCK);
    setBusy(false);
    if (answer.ok) setView(answer.value);
    else failed(answer);
  };
  return { view, busy, sayRight };
}
