/** The rows that fill while the caller keys. Counts, brand and last four only; there are no digits to show. */

import type { Brand, Field, FieldProgress, FieldStatus, PaymentView } from "../wire.ts";

type BrandFacts = { name: string; gaps: readonly number[]; code: number };

const FOURS = [4, 8, 12];
const BRANDS: Record<Brand, BrandFacts> = {
  visa: { name: "Visa", gaps: FOURS, code: 3 },
  mastercard: { name: "Mastercard", gaps: FOURS, code: 3 },
  amex: { name: "American Express", gaps: [4, 10], code: 4 },
  diners: { name: "Diners Club", gaps: [4, 10], code: 3 },
  discover: { name: "Discover", gaps: FOURS, code: 3 },
  troy: { name: "Troy", gaps: FOURS, code: 3 },
  jcb: { name: "JCB", gaps: FOURS, code: 3 },
  unionpay: { name: "UnionPay", gaps: FOURS, code: 3 },
  naranja: { name: "Naranja", gaps: FOURS, code: 3 },
  verve: { name: "Verve", gaps: FOURS, code: 3 },
  maestro: { name: "Maestro", gaps: FOURS, code: 3 },
  elo: { name: "Elo", gaps: FOURS, code: 3 },
  mir: { name: "Mir", gaps: FOURS, code: 3 },
  hiper: { name: "Hiper", gaps: FOURS, code: 3 },
  hipercard: { name: "Hipercard", gaps: FOURS, code: 3 },
};

/** A brand that this build does not know yet still has a card with four-digit groups. */
const factsOf = (brand: Brand | null): BrandFacts =>
  (brand === null ? undefined : BRANDS[brand]) ?? { name: "Card", gaps: FOURS, code: 3 };

export const brandName = (brand: Brand | null): string => factsOf(brand).name;

export const FIELD_NAMES: Record<Field, { name: string; hint: string }> = {
  pan: { name: "Card number", hint: "" },
  expiry: { name: "Expiry", hint: "month, year" },
  cvv: { name: "Security code", hint: "never shown" },
};

export type Dot = { on: boolean; last: boolean; gap: boolean };

export type FieldRow = {
  field: Field;
  number: number;
  name: string;
  hint: string;
  status: FieldStatus;
  /** Drawn while keyed, and after a refusal. */
  dots: Dot[] | null;
  count: { now: number; of: number; words: string } | null;
  /** Words instead of dots. */
  value: string | null;
  brand: string | null;
  message: { title: string; rest: string } | null;
  deed: { deed: "request" | "reset"; label: string; primary: boolean } | null;
};

export function fieldRows(payment: PaymentView): FieldRow[] {
  return payment.fields.map((progress, index) => row(payment, progress, index + 1));
}

function row(payment: PaymentView, progress: FieldProgress, number: number): FieldRow {
  const { field, status } = progress;
  const drawn = status === "live" || (status === "bad" && progress.digits > 0);
  const of = expected(payment, progress);
  return {
    field,
    number,
    ...FIELD_NAMES[field],
    status,
    dots: drawn ? dots(field, payment.brand, progress.digits, of, status === "live") : null,
    count: status === "live" ? { now: progress.digits, of, words: countWords(payment, progress, of) } : null,
    value: valueWords(payment, progress, number),
    brand: field === "pan" && status !== "wait" && payment.brand !== null ? brandName(payment.brand) : null,
    message: reasonWords(progress),
    deed: deedOf(payment, progress),
  };
}

function expected(payment: PaymentView, progress: FieldProgress): number {
  if (progress.field === "expiry") return 4;
  if (progress.field === "cvv") return factsOf(payment.brand).code;
  return Math.max(payment.pan_length_expected ?? 16, progress.digits);
}

function dots(field: Field, brand: Brand | null, digits: number, of: number, live: boolean): Dot[] {
  const gaps = field === "pan" ? factsOf(brand).gaps : [];
  return Array.from({ length: of }, (_, index) => ({
    on: index < digits,
    last: live && index === digits - 1,
    gap: gaps.includes(index + 1) && index + 1 < of,
  }));
}

function countWords(payment: PaymentView, progress: FieldProgress, of: number): string {
  if (progress.digits === 0) return "Waiting for the first key";
  if (progress.field === "pan" && payment.pan_length_expected === null) {
    return progress.digits === 1 ? "1 digit" : `${progress.digits} digits`;
  }
  return `${progress.digits} of ${of}`;
}

function valueWords(payment: PaymentView, progress: FieldProgress, number: number): string | null {
  const first = payment.state === "waiting" && number === 1;
  if (progress.status === "wait") return first ? "Opens when the line is secured" : null;
  if (progress.status !== "ok") return null;
  switch (progress.field) {
    case "pan":
      return payment.last4 === null ? "Accepted" : masked(payment);
    case "expiry":
      return expiryWords(payment) ?? "Accepted";
    case "cvv":
      return "Held in memory only";
  }
}

/** Dots in the brand's own groups, then the last four. */
function masked(payment: PaymentView): string {
  const length = payment.pan_length_expected ?? 16;
  const gaps = factsOf(payment.brand).gaps;
  const hidden = Array.from({ length: length - 4 }, (_, i) => (gaps.includes(i + 1) ? "• " : "•")).join("");
  return `${hidden}${payment.last4}`;
}

function expiryWords(payment: PaymentView): string | null {
  const expiry = payment.card?.expiry;
  if (!expiry) return null;
  return `${String(expiry.month).padStart(2, "0")} / ${String(expiry.year % 100).padStart(2, "0")}`;
}

const CHANGEABLE = ["capturing", "ready"];

/** What the row's button, and its shortcut, do. */
function deedOf(payment: PaymentView, progress: FieldProgress): FieldRow["deed"] {
  if (!CHANGEABLE.includes(payment.state)) return null;
  switch (progress.status) {
    case "wait":
      return null;
    case "live":
      return { deed: "reset", label: "Clear", primary: false };
    case "ok":
      return { deed: "request", label: "Ask again", primary: false };
    case "bad":
      return { deed: "request", label: "Ask again now", primary: true };
  }
}

const NOT_SENT = "Nothing was sent to the bank.";

function reasonWords({ field, status, reason }: FieldProgress): { title: string; rest: string } | null {
  // A field that waited too long while it was keyed goes on; one that is refused for it has been erased.
  if (reason === "too_slow" && status === "bad") {
    return { title: "The card’s time was up.", rest: "What was keyed has been erased. Ask for it again." };
  }
  switch (reason) {
    case null:
      return null;
    case "check_digit":
      return { title: "That number has a slip in it", rest: `(the check digit does not fit). ${NOT_SENT}` };
    case "length":
      return { title: "Too few or too many digits.", rest: NOT_SENT };
    case "unknown_brand":
      return { title: "No card begins like this.", rest: NOT_SENT };
    case "month":
      return { title: "That is not a month.", rest: `Months go from 01 to 12. ${NOT_SENT}` };
    case "expired":
      return { title: "That card has expired.", rest: `${NOT_SENT} Is there a newer card?` };
    case "too_far":
      return { title: "That date is too far in the future.", rest: NOT_SENT };
    case "too_slow":
      return { title: "No keys for a while.", rest: "What was keyed is kept." };
    case "key_lost":
      return { title: "A key may have been lost on the way.", rest: `It is asked again. ${NOT_SENT}` };
    case "too_many_tries":
      return { title: "Refused too often.", rest: "Ask again, or cancel the payment." };
    case "bank_refused":
      return { title: `The bank says that the ${FIELD_NAMES[field].name.toLowerCase()} is wrong.`, rest: "" };
  }
}

/** The field that `Alt R` is about: the one refused, else the one being keyed. */
export function fieldToRepeat(payment: PaymentView): FieldProgress | null {
  const { fields } = payment;
  return fields.find((f) => f.status === "bad") ?? fields.find((f) => f.status === "live") ?? null;
}

/** Something of a card has been keyed, so that stopping would lose it. */
export function keyed(payment: PaymentView | null): boolean {
  if (payment?.state !== "capturing" && payment?.state !== "ready") return false;
  return payment.fields.some(({ status, digits }) => status === "ok" || (status === "live" && digits > 0));
}
