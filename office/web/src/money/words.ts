/** What the pages about money say, in plain words. */

import { write } from "../view/money.ts";
import type { Money, Outcome, PaymentState } from "../wire.ts";
import type { Attempt, AttemptKind, Finding, Paid } from "./types.ts";

export type Chip = { tone: string; icon: string; words: string };

export const STATES: Record<PaymentState, Chip> = {
  waiting: { tone: "", icon: "clock", words: "Waiting" },
  capturing: { tone: "", icon: "clock", words: "Being keyed" },
  ready: { tone: "", icon: "clock", words: "Ready" },
  authorizing: { tone: "warn", icon: "clock", words: "At the bank" },
  approved: { tone: "ok", icon: "check", words: "Approved" },
  declined: { tone: "bad", icon: "x", words: "Declined" },
  not_sent: { tone: "bad", icon: "x", words: "Not sent" },
  unknown: { tone: "warn", icon: "clock", words: "Being confirmed" },
  cancelled: { tone: "", icon: "x", words: "Canceled" },
  voided: { tone: "", icon: "redo", words: "Given back" },
  refunded: { tone: "", icon: "redo", words: "Refunded" },
};

/** What people must look at comes before how the payment stands. */
export function chipOf(
  payment: Pick<Paid, "state" | "review" | "needs_people" | "alarms_open" | "refunded">,
): Chip {
  if (payment.needs_people) return { tone: "warn", icon: "alert", words: "Two people must settle" };
  if (payment.review === "wanted") return { tone: "warn", icon: "alert", words: "To be looked at" };
  if (payment.alarms_open > 0) return { tone: "bad", icon: "alert", words: "Alarm" };
  if (payment.state === "approved" && payment.refunded.minor > 0) {
    return { tone: "", icon: "redo", words: "Part refunded" };
  }
  return STATES[payment.state];
}

const KINDS: Record<AttemptKind, string> = {
  authorize: "Charge",
  capture: "Capture",
  void: "Void",
  refund: "Refund",
  store: "Card kept",
  charge_stored: "Charge of a kept card",
  delete_stored: "Card forgotten",
};

const OUTCOMES: Record<Outcome["outcome"], Chip> = {
  approved: { tone: "ok", icon: "check", words: "done" },
  declined: { tone: "bad", icon: "x", words: "declined" },
  rejected: { tone: "bad", icon: "x", words: "not sent, nothing was moved" },
  unknown: { tone: "warn", icon: "clock", words: "being confirmed" },
  abandoned: { tone: "bad", icon: "x", words: "the gateway does not know it, nothing was moved" },
};

export function attemptWords({ kind, outcome }: Pick<Attempt, "kind" | "outcome">): Chip {
  const end =
    outcome === null ? { tone: "warn", icon: "clock", words: "at the gateway" } : OUTCOMES[outcome.outcome];
  return { ...end, words: `${KINDS[kind]}: ${end.words}` };
}

const ALARMS: Record<string, string> = {
  late_approval: "Approved after the caller had left. It is kept: tell the customer.",
  not_forgotten:
    "The gateway has not deleted a card that is to be forgotten. It is asked again, once a day; if this stays, delete it there by hand and say so below.",
  other_account:
    "A kept card was not charged: it was stored with another key of the gateway. If that was another account’s, give the old key again or have the card keyed anew.",
  not_reversed: "An approval that was to be given back could not be. Refund it.",
  not_moto: "The bank wanted the cardholder online: the gateway’s account is set up wrongly.",
  disputed: "The cardholder’s bank takes the money back. Answer the dispute at the gateway.",
  undone: "The gateway took back what it had said was done: a capture or refund failed after all.",
  ended_otherwise:
    "The gateway says it ended otherwise than is written here. Compare, and tell the customer.",
};

export const alarmWords = (alarm: string): string => ALARMS[alarm] ?? alarm.replaceAll("_", " ");

export type FindingWords = { title: string; tone: string; hint: string };

/** In the order in which people must look at them. */
export const FINDINGS: readonly (FindingWords & { name: Finding })[] = [
  {
    name: "contradicted",
    title: "Done there, not done here",
    tone: "bad",
    hint: "The gateway took or gave back money against what is written here. Compare at the gateway, then put it right.",
  },
  {
    name: "theirs_only",
    title: "At the gateway only",
    tone: "bad",
    hint: "No payment of ours matches the line. “Again” means that the gateway has a payment of ours twice, “told otherwise” that two reports say different things of one movement: compare them, and take the wrong report back.",
  },
  {
    name: "differs",
    title: "Another amount",
    tone: "bad",
    hint: "Both sides have it, with different amounts.",
  },
  {
    name: "unknown",
    title: "Not known yet",
    tone: "warn",
    hint: "The outcome is being confirmed. Where the gateway has a line of it, that is your proof for settling it.",
  },
  {
    name: "ours_only",
    title: "Here only",
    tone: "warn",
    hint: "No report has it yet. Settlement takes a day or more; give in the next report before you ask the gateway.",
  },
  { name: "apart", title: "Chargebacks, fees, payouts", tone: "", hint: "These are no payments of ours." },
  { name: "matched", title: "The same on both sides", tone: "ok", hint: "Nothing to do." },
];

export const timeOf = (at: string): string =>
  new Date(at).toLocaleString("en-GB", {
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
  });

/** `£42.00`, or `–£4.20` for what is below zero. */
export const signed = (money: Money): string =>
  money.minor < 0 ? `−${write({ ...money, minor: -money.minor })}` : write(money);

/** What may still be taken, given back, or voided. The console decides; this only spares a press that it would refuse. */
export function left(payment: Pick<Paid, "state" | "capture" | "approved" | "captured" | "refunded">) {
  const open = payment.state === "approved" && payment.approved !== null;
  const approved = payment.approved?.minor ?? 0;
  const capturable = open && payment.capture === "later" ? approved - payment.captured.minor : 0;
  const refundable = open ? payment.captured.minor - payment.refunded.minor : 0;
  const voidable = open && payment.refunded.minor === 0;
  return { capturable, refundable, voidable };
}
