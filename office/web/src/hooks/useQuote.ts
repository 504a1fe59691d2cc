import { useEffect, useState } from "react";
import { surchargeOn } from "../state/api.ts";
import type { Money, Quote } from "../wire.ts";

/** The console is asked when the typing has paused. */
const PAUSE_MS = 250;

/**
 * What the console adds to an amount. None while it is being asked, or when it does not answer: then an order without the
 * surcharge is refused by the console itself, which says why.
 */
export function useQuote(amount: Money | null): Quote | null {
  const [quote, setQuote] = useState<Quote | null>(null);
  const { minor, currency } = amount ?? { minor: null, currency: "" };
  useEffect(() => {
    if (minor === null) return;
    let awaited = true;
    const timer = setTimeout(async () => {
      const answer = await surchargeOn({ minor, currency });
      if (awaited && answer.ok) setQuote(answer.value);
    }, PAUSE_MS);
    return () => {
      awaited = false;
      clearTimeout(timer);
    };
  }, [minor, currency]);
  return quote;
}
