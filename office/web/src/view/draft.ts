/** What the agent types before a payment is started, and whether it may be. */

import type { Order } from "../state/api.ts";
import { cardLike } from "./cardlike.ts";
import { decimalsOf } from "./money.ts";

/** What becomes of the card: nothing is kept, it is kept after the payment, or it is kept and nothing is taken. */
export type Keep = "none" | "token" | "only";
export type Draft = { amount: string; currency: string; account: string; reference: string; keep: Keep };
export type DraftField = "amount" | "account" | "reference";
export type Errors = Partial<Record<DraftField, string>>;
export type Checked = { order: Order } | { errors: Errors };

export const newDraft = (currency: string): Draft => ({
  amount: "",
  currency,
  account: "",
  reference: "",
  keep: "none",
});

/** As the door's own limit: ten digits of minor units. */
const MINOR_MAX = 9_999_999_999;
const TEXT_MAX = 64;
/** The shortest card number. */
const CARD_DIGITS_MIN = 12;

export const LOOKS_LIKE_CARD =
  "That looks like a card number, so it was cleared. The caller keys the card; never type it.";

export function check(draft: Draft): Checked {
  const minor = draft.keep === "only" ? 0 : minorOf(draft);
  const errors: Errors = {};
  if (typeof minor === "string") errors.amount = minor;
  for (const field of ["account", "reference"] as const) {
    const error = textError(draft[field]);
    if (error !== null) errors[field] = error;
  }
  if (typeof minor === "string" || Object.keys(errors).length > 0) return { errors };
  const order: Order = { amount: { minor, currency: draft.currency } };
  const account = draft.account.trim();
  const reference = draft.reference.trim();
  if (account !== "") order.account = account;
  if (reference !== "") order.reference = reference;
  if (draft.keep !== "none") order.store = draft.keep;
  return { order };
}

const minorOf = (draft: Draft): number | string =>
  longerThanMoney(draft.amount) ? LOOKS_LIKE_CARD : toMinor(draft.amount, draft.currency);

/** No amount has so many digits, and a card number that was mistyped must not stay on the screen either. */
function longerThanMoney(text: string): boolean {
  return text.replace(/\D/g, "").length >= CARD_DIGITS_MIN;
}

/** Minor units, or what is wrong in plain words. */
export function toMinor(text: string, currency: string): number | string {
  const decimals = decimalsOf(currency);
  const bare = text.trim().replace(/^[£€$¥]\s*/, "");
  if (bare === "") return "Type the amount.";
  const grouped = /^\d{1,3}(,\d{3})+(\.\d*)?$/.test(bare);
  const plain = grouped ? bare.replaceAll(",", "") : bare;
  if (/^\d+,\d{1,2}$/.test(plain)) return `Write the decimals after a point: ${plain.replace(",", ".")}.`;
  if (!/^(\d+\.?\d*|\.\d+)$/.test(plain)) return "Write the amount in digits, such as 186.40.";
  const [whole = "", fraction = ""] = plain.split(".");
  if (fraction.length > decimals) return tooFine(currency, decimals);
  const minor = Number(`${whole}${fraction.padEnd(decimals, "0")}`);
  if (minor === 0) return "The amount must be above zero.";
  return minor > MINOR_MAX ? "That amount is too large to take in one payment." : minor;
}

function tooFine(currency: string, decimals: number): string {
  if (decimals === 0) return `${currency} has no decimals.`;
  return `${currency} has ${decimals} digits after the point, not more.`;
}

function textError(text: string): string | null {
  const trimmed = text.trim();
  if (cardLike(trimmed)) return LOOKS_LIKE_CARD;
  if ([...trimmed].length > TEXT_MAX) return `At most ${TEXT_MAX} characters.`;
  return /\p{C}/u.test(trimmed) ? "There is a character in it that can’t be printed." : null;
}

/** Nothing has been typed that would be lost. */
export function untouched(draft: Draft): boolean {
  return (
    draft.keep !== "only" &&
    draft.amount.trim() === "" &&
    draft.account.trim() === "" &&
    draft.reference.trim() === ""
  );
}

/** Empties each box that was refused for what looks like a card number. */
export function withoutCards(draft: Draft, errors: Errors): Draft {
  const cleared = (field: DraftField) => (errors[field] === LOOKS_LIKE_CARD ? "" : draft[field]);
  return {
    ...draft,
    amount: cleared("amount"),
    account: cleared("account"),
    reference: cleared("reference"),
  };
}
