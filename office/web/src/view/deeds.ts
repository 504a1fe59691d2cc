/** What may be done now. The console and the card side have the last word; this keeps the screen from promising. */

import type { CallView, Field, PaymentView } from "../wire.ts";
import { holdsPayment } from "./recorders.ts";

export type Panel = "ringing" | "order" | "payment" | "outcome";

/** The one thing under the line band. `done` is the payment whose result the agent has put away. */
export function panelOf(call: CallView, payment: PaymentView | null, done: string | null): Panel {
  if (call.state === "ringing") return "ringing";
  if (payment === null || payment.state === "cancelled") return "order";
  if (payment.state === "approved" && payment.id === done) return "order";
  return ["approved", "declined", "not_sent", "unknown"].includes(payment.state) ? "outcome" : "payment";
}

export const maySecure = (call: CallView): boolean =>
  call.state !== "ringing" && call.way !== "conference" && ["open", "fault", "releasing"].includes(call.line);

export const mayRelease = (call: CallView): boolean => call.line === "secured";

export const mayPauseRecorders = (call: CallView | null): call is CallView =>
  call !== null && call.line !== "open" && call.recorders?.state === "not_paused";

export const mayAsk = (payment: PaymentView | null, field: Field): payment is PaymentView =>
  payment !== null && askable(payment, field);

/** After a decline the card number begins another card; of the old one only what the bank refused is asked again. */
function askable({ state, fields }: PaymentView, name: Field): boolean {
  const field = fields.find((progress) => progress.field === name);
  if (field === undefined) return false;
  if (state === "capturing" || state === "ready") return true;
  if (state !== "declined" && state !== "not_sent") return false;
  return name === "pan" || (state === "declined" && field.status === "bad");
}

/** A payment that was proved not to be executed may be sent once more; one whose outcome is open may not. */
export const mayTake = (payment: PaymentView | null): payment is PaymentView =>
  payment !== null && takeable(payment);

const takeable = ({ state, outcome }: PaymentView): boolean =>
  state === "ready" || (state === "not_sent" && outcome?.outcome !== "abandoned");

export const mayUseOtherCard = (payment: PaymentView | null): payment is PaymentView =>
  payment !== null && (payment.state === "declined" || payment.state === "not_sent");

export const mayCancel = (payment: PaymentView | null): payment is PaymentView =>
  payment !== null && ["waiting", "capturing", "ready", "declined", "not_sent"].includes(payment.state);

/** Why `Take` is off; null when it is on. */
export function takeReason(call: CallView, payment: PaymentView): string | null {
  if (call.line === "fault") {
    return call.way === "conference" ? "Begin again with a new code." : "Secure the line again first.";
  }
  if (takeable(payment)) return null;
  if (holdsPayment(call)) return "The recorder must pause first.";
  if (call.line === "open" && payment.state === "waiting") return "Secure the line first.";
  const count = ["none", "one is", "both are", "all three are"][payment.fields.length] ?? "all are";
  return `Opens when ${count} ticked.`;
}
