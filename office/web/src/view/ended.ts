/** What is left to say once a call is over: how it ended, and what that means for the money. */

import type { CallEnd, PaymentView } from "../wire.ts";
import { write } from "./money.ts";

const ENDS: Record<CallEnd, string> = {
  caller_hung_up: "The caller hung up.",
  agent_hung_up: "You hung up.",
  abandoned: "The caller gave up before you answered.",
  not_answered: "The call was not answered.",
  failed: "The call was cut off.",
};

export type EndedView = { tone: "" | "ok" | "bad" | "warn"; title: string; rest: string };

export function endedView(end: CallEnd, payment: PaymentView | null): EndedView {
  return { title: ENDS[end], ...money(payment) };
}

function money(payment: PaymentView | null): { tone: EndedView["tone"]; rest: string } {
  if (payment === null) return { tone: "", rest: "No payment was started." };
  const amount = write(payment.amount);
  switch (payment.state) {
    case "approved":
      return { tone: "ok", rest: `${amount} was approved.` };
    case "authorizing":
    case "unknown":
      return {
        tone: "warn",
        rest: `${amount} was already sent. Outcome being confirmed – do not take the payment again.`,
      };
    case "declined":
      return { tone: "bad", rest: `${amount} was declined. Nothing was taken. What was keyed is erased.` };
    default:
      return { tone: "", rest: "Nothing was sent to the bank. What was keyed is erased." };
  }
}
