/** What the agent may say next. While the line is secured the caller hears this; whether the agent hears an answer, the masking says. */

import type { CallView, FieldProgress, Masking, Money, PaymentView } from "../wire.ts";
import { keepsOnly, say } from "./money.ts";
import { cardWords } from "./outcome.ts";
import { holdsPayment } from "./recorders.ts";

/** `amount` is what is typed, or ordered, so far. Outcomes bring their own words. */
export function script(call: CallView, payment: PaymentView | null, amount: Money | null): string | null {
  switch (call.line) {
    case "open":
      return call.state === "ringing" || amount === null ? null : beforeSecuring(amount, call.masking);
    case "securing":
      if (call.way === "conference") return "One moment please. Please don’t key anything yet.";
      return "One moment while I secure the line. Please don’t key anything yet.";
    case "fault":
      return "I’ve paused for your security. Please don’t key anything yet.";
    case "releasing":
      return "I’m opening the line again. Please don’t press any keys for a moment.";
    case "secured":
      if (holdsPayment(call)) return whileHeld(call);
      return payment === null ? null : whileSecured(payment, call.masking);
    case "conference":
      if (holdsPayment(call)) return whileHeld(call);
      return payment === null ? beforeKeys(amount) : whileSecured(payment, "none");
  }
}

function whileHeld({ recorders }: CallView): string {
  return recorders?.state === "asked"
    ? "One moment while our recording is paused. Please don’t key anything yet."
    : "I’m sorry, something isn’t ready on our side. Please don’t key anything yet.";
}

function beforeSecuring(amount: Money, masking: Masking): string {
  const hear =
    masking === "natural"
      ? "We can keep talking, but I won’t hear"
      : "You’ll hear me, but I won’t hear you or";
  if (amount.minor === 0) {
    return `I can put your card on file now; nothing is taken. Is that all right? I’m going to secure the line. ${hear} the keys you press.`;
  }
  return `I can take ${say(amount)} now, is that all right? I’m going to secure the line. ${hear} the keys you press.`;
}

/** Nothing is promised that a conference does not keep. */
function beforeKeys(amount: Money | null): string | null {
  if (amount === null) return null;
  const what =
    amount.minor === 0
      ? "I can put your card on file now; nothing is taken."
      : `I can take ${say(amount)} now.`;
  return `${what} You can key your card on your phone. I may hear the tones of your keys. Is that all right?`;
}

function whileSecured(payment: PaymentView, masking: Masking): string | null {
  switch (payment.state) {
    case "capturing":
      return whileCapturing(payment, masking);
    case "ready":
      if (keepsOnly(payment)) return "That’s everything. I’m putting your card on file now.";
      return `That’s everything. I’m taking ${say(payment.amount)} from the ${cardWords(payment) ?? "card"} now.`;
    case "authorizing":
      return "I’m just waiting for the bank to answer.";
    default:
      return null;
  }
}

function whileCapturing(payment: PaymentView, masking: Masking): string | null {
  const bad = payment.fields.find((field) => field.status === "bad");
  const live = payment.fields.find((field) => field.status === "live");
  const field = bad ?? live;
  if (field === undefined) return null;
  return field.reason === null ? asking(payment, field, masking) : repeating(payment, field);
}

function asking(payment: PaymentView, { field, digits }: FieldProgress, masking: Masking): string {
  if (digits > 0 && field === "pan") {
    return "Take your time. I can see that the digits are arriving, not what they are.";
  }
  switch (field) {
    case "pan":
      return `Please key your long card number on your phone, then press star. ${masking === "strict" ? "You can hear me, but I can’t hear you." : "Please don’t read it out."}`;
    case "expiry":
      return "Now the expiry date: two digits for the month, two for the year.";
    case "cvv":
      return `Now the ${codePlace(payment)}. ${masking === "none" ? "Please don’t read it out." : "I won’t hear you while you key it."}`;
  }
}

function repeating(payment: PaymentView, { field, reason }: FieldProgress): string {
  if (reason === "too_slow") return "Take your time. Carry on when you’re ready.";
  if (reason === "expired") return "If there is a newer card with a later date, please key that date.";
  switch (field) {
    case "pan":
      return "One of the digits slipped. Could you key the whole number once more?";
    case "expiry":
      return "Could you key the date once more: two digits for the month, two for the year?";
    case "cvv":
      return `Could you key the ${codePlace(payment)} once more?`;
  }
}

const codePlace = (payment: PaymentView): string =>
  payment.brand === "amex" ? "four digits on the front of the card" : "three digits on the back of the card";
