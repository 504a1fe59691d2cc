/** What a screen reader is told after a change. Loud words are few; quiet ones are at most one in three seconds. */

import type { CallView, Field, PaymentView } from "../wire.ts";
import { FIELD_NAMES, fieldRows } from "./fields.ts";
import { cardWords, outcomeSpoken } from "./outcome.ts";
import { holdsPayment, recorderNote } from "./recorders.ts";

export const QUIET_EVERY_MS = 3_000;

export type Moment = {
  call: CallView | null;
  payment: PaymentView | null;
  /** The line can't be seen, for want of proof or of a connection. */
  stale: boolean;
  ended: string | null;
};
export type Words = { loud: string | null; quiet: string | null };

export function announce(before: Moment, after: Moment): Words {
  return { loud: loud(before, after), quiet: quiet(before, after) };
}

function loud(before: Moment, after: Moment): string | null {
  if (after.ended !== null && after.ended !== before.ended) return after.ended;
  return paymentSpoken(before, after) ?? lineSpoken(before, after);
}

function paymentSpoken(before: Moment, after: Moment): string | null {
  const { payment } = after;
  if (payment === null || before.payment?.id !== payment.id) return null;
  return payment.state === before.payment.state ? null : outcomeSpoken(payment);
}

function lineSpoken(before: Moment, after: Moment): string | null {
  if (after.call === null || before.call?.call !== after.call.call) return null;
  const was = holdsPayment(before.call);
  if (before.call.line === after.call.line && was === holdsPayment(after.call)) {
    return was ? recorderSpoken(before.call, after.call) : null;
  }
  switch (after.call.line) {
    case "secured":
      if (holdsPayment(after.call)) return recorderSpoken(null, after.call);
      return "Line secured. You hear a short tone in the place of each key. The caller hears you.";
    case "open":
      return "Line open.";
    case "conference":
      return "Not masked. This is a conference: you can hear the keys.";
    case "fault":
      return after.call.way === "conference"
        ? "Stopped. The keys can’t be taken."
        : "Stopped. Masking could not be proved.";
    default:
      return null;
  }
}

function recorderSpoken(before: CallView | null, after: CallView): string | null {
  if (before?.recorders?.state === after.recorders?.state) return null;
  return recorderNote(after)?.title ?? null;
}

function quiet(before: Moment, after: Moment): string | null {
  if (after.call !== null && before.call?.call !== after.call.call) {
    return `Call from ${after.call.caller === "" ? "a withheld number" : after.call.caller}.`;
  }
  if (after.stale !== before.stale && after.call !== null) {
    return after.stale ? "Can’t see the line." : "The line can be seen again.";
  }
  if (after.call?.line === "releasing" && before.call?.line !== "releasing") return "Releasing the line.";
  if (after.payment === null) return null;
  if (after.payment.state === "authorizing" && before.payment?.state !== "authorizing")
    return "Asking the bank.";
  return fieldSpoken(before.payment, after.payment);
}

/** Digits of the expiry and the code are not counted aloud; that they are accepted or refused is said. */
function fieldSpoken(before: PaymentView | null, after: PaymentView): string | null {
  const was = new Map(before?.id === after.id ? before.fields.map((field) => [field.field, field]) : []);
  const rows = fieldRows(after);
  for (const [index, field] of after.fields.entries()) {
    const old = was.get(field.field);
    const row = rows[index];
    if (row?.message && field.reason !== old?.reason) return `${row.name}: ${row.message.title}`;
    if (field.status === "ok" && old?.status !== "ok") return accepted(after, field.field);
    if (field.field === "pan" && field.status === "live" && row?.count && field.digits > (old?.digits ?? 0)) {
      return `${row.name}, ${row.count.words}`;
    }
  }
  return null;
}

function accepted(payment: PaymentView, field: Field): string {
  const card = field === "pan" ? cardWords(payment) : null;
  return [`${FIELD_NAMES[field].name} accepted`, card].filter(Boolean).join(", ");
}
