/** How what is shown live about a payment and what is written down about it become one picture. */

import type { CallView, PaymentState, PaymentView, Progress } from "../wire.ts";

/** Nothing that is shown live can take these back: the money has moved, or certainly has not. */
const FINAL: readonly PaymentState[] = ["approved", "cancelled"];
/** An attempt has been settled, as far as it can be. */
const SETTLED: readonly PaymentState[] = ["approved", "declined", "not_sent", "unknown", "cancelled"];

/** No attempt has been heard of, or the one before is over. */
const KEYING: readonly PaymentState[] = ["waiting", "capturing", "ready"];
/** Sent, and not answered. */
const AT_BANK: readonly PaymentState[] = ["authorizing", "unknown"];

/** What an attempt whose outcome is not known can turn out to be. */
const ANSWERS: readonly PaymentState[] = ["approved", "declined", "not_sent"];

/** A payment that was ordered elsewhere is known from its live progress alone. */
export function fromProgress(call: CallView, progress: Progress): PaymentView {
  const at = new Date(call.started_unix_ms).toISOString();
  return mergeProgress(
    {
      id: progress.payment,
      call: call.call,
      amount: progress.amount,
      account: null,
      invoice: null,
      reference: null,
      state: progress.state,
      card: null,
      fields: [],
      brand: null,
      last4: null,
      pan_length_expected: null,
      outcome: null,
      attempts: 0,
      kept: null,
      created_at: at,
      updated_at: at,
    },
    progress,
  );
}

/** The live progress is newer than the written view, except about an outcome that has been written. */
export function mergeProgress(view: PaymentView, progress: Progress): PaymentView {
  if (progress.attempts < view.attempts) return view;
  if (FINAL.includes(view.state)) return view;
  if (view.state === "unknown" && !ANSWERS.includes(progress.state)) return view;
  const sameAttempt = progress.attempts === view.attempts;
  if (progress.state === "authorizing" && sameAttempt && SETTLED.includes(view.state)) return view;
  return {
    ...view,
    state: progress.state,
    fields: progress.fields,
    brand: progress.brand,
    last4: progress.last4,
    pan_length_expected: progress.pan_length_expected,
    outcome: progress.outcome,
    attempts: progress.attempts,
    kept: progress.kept ?? view.kept,
  };
}

/** An answer to a request may arrive after an event that is newer than it. */
export function keepNewer(known: PaymentView | undefined, answer: PaymentView): PaymentView {
  if (known === undefined) return answer;
  return Date.parse(answer.updated_at) < Date.parse(known.updated_at) ? known : answer;
}

/** A list that was read before, with what has been heard since of the payments in it. */
export function overlaid(list: PaymentView[], heard: Readonly<Record<string, PaymentView>>): PaymentView[] {
  return list.map((payment) => {
    const since = heard[payment.id];
    return since === undefined ? payment : keepNewer(payment, since);
  });
}

/** Nothing more can happen to it. */
export function finished(state: PaymentState): boolean {
  return FINAL.includes(state);
}

/** As far as is known, the card is still being keyed. */
export function beingKeyed(state: PaymentState): boolean {
  return KEYING.includes(state);
}

/** The money may have moved or not. */
export function atBank(state: PaymentState): boolean {
  return AT_BANK.includes(state);
}
