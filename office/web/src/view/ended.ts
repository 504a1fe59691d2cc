/** What is left to say once a call is over: how it ended, and what that means for the money. */

import type { Ended } from "../state/desk.ts";
import { finished } from "../state/payment.ts";
import type { CallEnd, PaymentView } from "../wire.ts";
import { keepsOnly, write } from "./money.ts";

const ENDS: Record<CallEnd, string> = {
  caller_hung_up: "The caller hung up.",
  agent_hung_up: "You hung up.",
  abandoned: "The caller gave up before you answered.",
  not_answered: "The call was not answered.",
  failed: "The call was cut off.",
  not_transferred: "The caller was not transferred in time.",
  conference_over: "The payment line has left the conference.",
};

export type EndedView = { tone: "" | "ok" | "bad" | "warn"; title: string; rest: string };

export function endedView({ end, sure }: Ended, payment: PaymentView | null): EndedView {
  return { title: end === null ? "The call is over." : ENDS[end], ...money(payment, sure) };
}

function money(payment: PaymentView | null, sure: boolean): Omit<EndedView, "title"> {
  if (payment === null) return sure ? { tone: "", rest: "No payment was started." } : UNSEEN;
  const amount = keepsOnly(payment) ? "The card to keep" : write(payment.amount);
  if (!sure && !finished(payment.state)) return checking(amount);
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

const UNSEEN = {
  tone: "" as const,
  rest: "This screen did not see its end. Look at your last payments before you take one again.",
};

/** Said until the console has told what became of it; what was seen last may be long past. */
function checking(amount: string): Omit<EndedView, "title"> {
  return {
    tone: "warn",
    rest: `This screen did not see what became of ${amount}. It is being checked – do not take the payment again.`,
  };
}
