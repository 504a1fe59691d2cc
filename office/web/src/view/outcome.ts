/** The result of a payment in plain words: what happened, what it means for the money, what to do next. */

import type { DeclineClass, PaymentView } from "../wire.ts";
import { mayAsk } from "./deeds.ts";
import { brandName } from "./fields.ts";
import { keepsOnly, say, write } from "./money.ts";

export type OutcomeOffer = "other_card" | "ask_expiry" | "ask_cvv" | "again" | "smaller" | "another" | "end";

export type OutcomeView = {
  look: "ok" | "bad" | "unk";
  title: string;
  sub: string;
  facts: { label: string; value: string }[];
  script: string | null;
  offers: OutcomeOffer[];
  after: string | null;
};

export function outcomeView(payment: PaymentView): OutcomeView | null {
  switch (payment.state) {
    case "approved":
      return approved(payment);
    case "declined":
      return declined(payment);
    case "not_sent":
      return notSent(payment);
    case "unknown":
      return unknown(payment);
    default:
      return null;
  }
}

/** `Visa ending 4242`. */
export function cardWords(payment: PaymentView): string | null {
  const brand = payment.card?.brand ?? payment.brand;
  const last4 = payment.card?.last4 ?? payment.last4;
  return last4 === null ? null : `${brandName(brand)} ending ${last4}`;
}

/** `Visa ending 4242`. */
export const cardName = (brand: PaymentView["brand"], last4: string): string =>
  `${brandName(brand)} ending ${last4}`;

const about = (payment: PaymentView, ...more: (string | null)[]): string =>
  [cardWords(payment), ...more, payment.account, payment.reference].filter(Boolean).join(" · ");

function approved(payment: PaymentView): OutcomeView {
  if (keepsOnly(payment)) return onlyKept(payment);
  const outcome = payment.outcome?.outcome === "approved" ? payment.outcome : null;
  const taken = outcome?.amount ?? payment.amount;
  const part = taken.minor < payment.amount.minor;
  const facts = [
    { label: "Authorization code", value: outcome?.auth_code ?? "" },
    { label: "Reference", value: outcome?.gateway_ref ?? "" },
    { label: "Card", value: maskedCard(payment) },
    { label: "Expiry", value: expiry(payment) },
  ].filter((fact) => fact.value !== "");
  return {
    look: "ok",
    title: part
      ? `Approved for ${write(taken)} of ${write(payment.amount)}`
      : `Approved: ${write(payment.amount)}`,
    sub: about(payment),
    facts,
    script: part
      ? `The bank approved ${say(taken)}. How would you like to pay the rest?`
      : `That’s gone through: ${say(taken)}. Thank you.`,
    offers: ["another"],
    after: keeping(payment),
  };
}

const NOT_KEPT = "The card was NOT kept. The payment stands. To keep it, the caller has to key it again.";

/** What became of a card that was to be kept beside a payment. */
function keeping(payment: PaymentView): string | null {
  if (payment.kept === null) return null;
  return payment.kept === "kept" ? "The card is kept for later payments." : NOT_KEPT;
}

function onlyKept(payment: PaymentView): OutcomeView {
  const facts = [
    { label: "Card", value: maskedCard(payment) },
    { label: "Expiry", value: expiry(payment) },
  ].filter((fact) => fact.value !== "");
  const kept = payment.kept !== "not_kept";
  return {
    look: kept ? "ok" : "bad",
    title: kept ? "The card is kept. Nothing was taken." : "The card was not kept. Nothing was taken.",
    sub: about(payment),
    facts,
    script: kept ? "Your card is on file now, and nothing was taken." : "I could not put your card on file.",
    offers: ["another"],
    after: null,
  };
}

function maskedCard(payment: PaymentView): string {
  const last4 = payment.card?.last4 ?? payment.last4;
  return last4 === null ? "" : `•••• ${last4}`;
}

function expiry(payment: PaymentView): string {
  const date = payment.card?.expiry;
  return date ? `${String(date.month).padStart(2, "0")} / ${String(date.year % 100).padStart(2, "0")}` : "";
}

const NOTHING_TAKEN = "nothing was taken";

type Decline = { title: string; money?: string; script: string; offers: OutcomeOffer[] };

const KEY_ANOTHER =
  "If you’d like to use another card, please key its number now. Otherwise wait, and I’ll open the line.";

/**
 * The agent may not hear the caller while the line is secured, so what is said asks for keys or for patience, never
 * for a spoken answer. The reason is never said aloud.
 */
const DECLINES: Record<DeclineClass, Decline> = {
  insufficient_funds: {
    title: "Declined: not enough money, or over a limit",
    script: `The bank hasn’t approved that card today. ${KEY_ANOTHER}`,
    offers: ["other_card", "smaller"],
  },
  do_not_honor: {
    title: "Declined: the bank gave no reason",
    script: `The bank hasn’t approved it. Your bank can tell you why. ${KEY_ANOTHER}`,
    offers: ["other_card"],
  },
  expired_card: {
    title: "Declined: card expired",
    script: "If there is a newer card with a later date, I’ll ask for its date now.",
    offers: ["ask_expiry", "other_card"],
  },
  wrong_cvv: {
    title: "Declined: security code wrong",
    script: "Please key the digits on the back of the card again when I ask.",
    offers: ["ask_cvv", "other_card"],
  },
  wrong_address: {
    title: "Stopped by our rule: address does not match",
    money: "a hold may show for some days",
    script: "The card may be registered at another address. I’ll open the line so that we can check.",
    offers: ["other_card"],
  },
  not_allowed: {
    title: "Declined: this card can’t be used for this",
    script: `That card can’t be used here. ${KEY_ANOTHER}`,
    offers: ["other_card"],
  },
  lost_or_stolen: {
    title: "Declined. Don’t discuss why, don’t keep the card",
    script: `The bank hasn’t approved that card. ${KEY_ANOTHER}`,
    offers: ["other_card"],
  },
  no_such_card: {
    title: "Declined: no such card or account. Don’t try it again",
    script: `That card can’t be used. ${KEY_ANOTHER}`,
    offers: ["other_card"],
  },
  authentication_required: {
    title: "Declined: the bank wants an online check",
    script: `That card can’t be used by phone today. ${KEY_ANOTHER}`,
    offers: ["other_card"],
  },
  bank_down: {
    title: "The bank can’t answer",
    money: "it says nothing was taken",
    script: "The bank has a problem. I’ll open the line, and we’ll see when to try again.",
    offers: ["other_card"],
  },
  other: {
    title: "Declined",
    script: `The bank hasn’t approved that card. ${KEY_ANOTHER}`,
    offers: ["other_card"],
  },
};

const declineOf = (payment: PaymentView): Decline =>
  DECLINES[payment.outcome?.outcome === "declined" ? payment.outcome.class : "other"] ?? DECLINES.other;

function declined(payment: PaymentView): OutcomeView {
  const words = declineOf(payment);
  const code = payment.outcome?.outcome === "declined" ? payment.outcome.network_code : null;
  return {
    look: "bad",
    title: words.title,
    sub: about(payment, words.money ?? NOTHING_TAKEN, code === null ? null : `bank code ${code}`),
    facts: [],
    script: words.script,
    offers: [...words.offers.filter((offer) => kept(payment, offer)), "end"],
    after: `Attempt ${payment.attempts}. The reason is for you; don’t say it aloud.`,
  };
}

/** A single field is asked again only where the rest of the card is still held. */
function kept(payment: PaymentView, offer: OutcomeOffer): boolean {
  if (offer === "ask_expiry") return mayAsk(payment, "expiry");
  return offer !== "ask_cvv" || mayAsk(payment, "cvv");
}

function notSent(payment: PaymentView): OutcomeView {
  const settled = payment.outcome?.outcome === "abandoned";
  return {
    look: "bad",
    title: settled ? "Confirmed: the bank never took this payment" : "Not sent. Nothing was taken.",
    sub: about(payment, settled ? `${NOTHING_TAKEN}; it may be taken again` : "it is safe to try again"),
    facts: [],
    script: settled
      ? "It didn’t go through, and nothing was taken. Please key the card once more."
      : "We have a technical problem. I’ll try once more.",
    offers: settled ? ["other_card", "end"] : ["again", "other_card", "end"],
    after: null,
  };
}

function unknown(payment: PaymentView): OutcomeView {
  return {
    look: "unk",
    title: "Outcome being confirmed – do not take the payment again",
    sub: `We sent ${write(payment.amount)} to the bank and the answer got lost. It may have been taken.`,
    facts: [],
    script: "The bank is slow to answer. Please don’t pay again anywhere until we’ve told you how it went.",
    offers: [],
    after:
      "Taking it again stays closed until the bank has said what happened. It is asked by itself, also after this call.",
  };
}

/** The one sentence for a screen reader. */
export function outcomeSpoken(payment: PaymentView): string | null {
  switch (payment.state) {
    case "approved": {
      if (keepsOnly(payment)) return onlyKept(payment).title;
      const taken = payment.outcome?.outcome === "approved" ? payment.outcome.amount : payment.amount;
      return `Approved, ${say(taken)}.${payment.kept === "not_kept" ? " The card was not kept." : ""}`;
    }
    case "declined":
      return `${declineOf(payment).title}: ${declineOf(payment).money ?? NOTHING_TAKEN}.`;
    case "not_sent":
      return "Not sent. Nothing was taken.";
    case "unknown":
      return "Outcome being confirmed. Do not take the payment again.";
    default:
      return null;
  }
}
