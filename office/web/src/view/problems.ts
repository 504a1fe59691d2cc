/** What went wrong with a request, in plain words: what happened, the money, what to do next. */

import type { Answer } from "../state/api.ts";

type Failed = Extract<Answer<unknown>, { ok: false }>;

const NOTHING = "Nothing was sent to the bank.";

const WORDS: Record<string, string> = {
  unknown_call: "That call is not here any more.",
  unknown_payment: "That payment is not on this call any more.",
  payment_in_progress: "This call already has a payment that is not finished.",
  wrong_state: "The line is not ready for that yet.",
  fields_missing: `Not all of the card has been keyed. ${NOTHING}`,
  outcome_pending: "The bank has not answered yet. Do not take the payment again.",
  already_approved: "This payment was already approved. It is not taken twice.",
  unknown_field: "This payment does not ask for that.",
  bad_amount: "That amount can’t be taken.",
  unknown_merchant: `This desk’s merchant is not set up for payments. ${NOTHING} Tell your administrator.`,
  card_gone: `The card was erased because its time was up. ${NOTHING} Ask for another card.`,
  media_fault: "Masking was not confirmed in time. The line stays as it was.",
  media_timeout: "Masking was not confirmed in time. The line stays as it was.",
  journal_fault: `The payment could not be written down, so it was not sent. ${NOTHING} Tell your administrator.`,
  surcharge_not_accepted: `There is a surcharge on this amount. ${NOTHING} Tell the caller, tick that they accept it, and start again.`,
  unsupported: `The payment service of this merchant cannot do that. ${NOTHING}`,
  no_right: "You may not do that. Ask your administrator.",
  busy: "Too many at once. Try again in a moment.",
  door_timeout:
    "No answer came in time. Look at the line and the payment; pressing again is safe, it counts once.",
  idempotency_busy: "The first press is still being worked on. Wait a moment.",
  too_slow: "The server is slow. Look at the line and the payment; pressing again is safe, it counts once.",
  internal: "Something failed on the server. Pressing again is safe, it counts once.",
  door_down: "The payment service can’t be reached. Try again when it is back.",
  looks_like_card: "That looks like a card number. The caller keys the card; never type it.",
  idempotency_mismatch: "The screen and the server disagree about this payment. Reload the page, then look.",
  not_found: "That is not here any more.",
  no_conferences: "Payments in a conference are switched off here. Transfer the caller instead.",
  other_code:
    "The payment service made no code for that. Try again; if it stays so, tell your administrator.",
  in_conference: "In a conference nothing can be masked: you can hear the keys.",
  not_on_demand: "Calls of your extension can’t be transferred to the payment line. Tell your administrator.",
};

/** Answers with a status of 500 and above that still say for certain that nothing was done. */
const SURELY_NOT_DONE = ["door_down", "media_timeout", "busy"];

/** Was the deed certainly not done? Otherwise the next press must ask after the same deed, not begin another. */
export function surelyNotDone({ problem }: Failed): boolean {
  if (problem === null || problem.code === "idempotency_busy") return false;
  return problem.status < 500 || SURELY_NOT_DONE.includes(problem.code ?? "");
}

export function problemWords(failed: Failed): string {
  if (failed.problem === null) {
    return "No answer came. Look at the line and the payment; pressing again is safe, it counts once.";
  }
  const known = failed.problem.code === undefined ? undefined : WORDS[failed.problem.code];
  if (known !== undefined) return known;
  return failed.problem.detail ?? failed.problem.title ?? `It did not work (${failed.problem.status}).`;
}

export function signInWords(failed: Failed): string {
  if (failed.problem === null) return "The server can’t be reached. Try again in a moment.";
  switch (failed.problem.code) {
    case "bad_credentials":
      return "That e-mail and password don’t fit together. Try again.";
    case "locked":
      return `Too many wrong tries. Signing in is locked for ${minutes(failed.retryAfter)}.`;
    default:
      return failed.problem.detail ?? failed.problem.title ?? "Signing in did not work. Try again.";
  }
}

function minutes(seconds: number | null): string {
  if (seconds === null) return "a while";
  const whole = Math.max(1, Math.ceil(seconds / 60));
  return whole === 1 ? "1 minute" : `${whole} minutes`;
}
