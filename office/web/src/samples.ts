/** Samples for tests. Nothing of the desk imports this. */

import type { CallView, FieldProgress, PaymentView, Progress } from "./wire.ts";

const WAITING: FieldProgress[] = (["pan", "expiry", "cvv"] as const).map((field) => ({
  field,
  status: "wait",
  digits: 0,
  reason: null,
}));

export function callView(part: Partial<CallView> = {}): CallView {
  return {
    call: "c1",
    extension: "1001",
    caller: "+447700900142",
    called: "+441632960001",
    way: "inline",
    keys_cross_pbx: false,
    started_unix_ms: 0,
    state: "talking",
    line: "open",
    line_since_unix_ms: 0,
    masking: "natural",
    payment: null,
    timeline: [],
    proof_at: null,
    ...part,
  };
}

export function progress(part: Partial<Progress> = {}): Progress {
  return {
    payment: "p1",
    amount: { minor: 18_640, currency: "GBP" },
    state: "capturing",
    fields: WAITING,
    brand: null,
    last4: null,
    pan_length_expected: null,
    outcome: null,
    attempts: 0,
    kept: null,
    ...part,
  };
}

export function paymentView(part: Partial<PaymentView> = {}): PaymentView {
  const { payment: id, ...rest } = progress();
  return {
    id,
    call: "c1",
    account: null,
    invoice: null,
    reference: null,
    card: null,
    created_at: "2026-11-22T10:43:00Z",
    updated_at: "2026-11-22T10:43:00Z",
    ...rest,
    kept: rest.kept ?? null,
    ...part,
  };
}

/** The three fields, each with what is said of it. */
export function fields(...parts: Partial<FieldProgress>[]): FieldProgress[] {
  return WAITING.map((field, index) => ({ ...field, ...parts[index] }));
}
