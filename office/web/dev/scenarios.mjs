/** What the scripted caller and the bank do. Cards are lengths and last fours, never numbers. */

const VISA = { brand: "visa", length: 16, last4: "4242" };
const AMEX = { brand: "amex", length: 15, last4: "0005" };
const MASTERCARD = { brand: "mastercard", length: 16, last4: "4444" };
const APPROVED = { outcome: "approved", auth_code: "074213", gateway_ref: "sbx_7QF394KD" };
const DECLINED = { outcome: "declined", class: "insufficient_funds", network_code: "51" };

export const scenarios = {
  approve: { cards: [VISA], outcomes: [APPROVED] },
  repeat: { cards: [VISA], outcomes: [APPROVED] },
  surcharge: { cards: [VISA], surcharge: 150, outcomes: [APPROVED] },
  recorder: { cards: [VISA], recorders: ["unreachable", null], outcomes: [APPROVED] },
  amex: { cards: [AMEX], outcomes: [APPROVED] },
  slip: { cards: [VISA], refuse: { pan: "check_digit" }, outcomes: [APPROVED] },
  "decline-then-other-card": { cards: [VISA, MASTERCARD], outcomes: [DECLINED, APPROVED] },
  cancel: { cards: [VISA], at: { "pan 7": "silence" }, outcomes: [] },
  "caller-hangs-up": { cards: [VISA], at: { "pan 9": "hang_up" }, outcomes: [] },
  fault: { cards: [VISA], at: { "pan 5": "fault" }, outcomes: [] },
  unproved: { cards: [VISA], proofs: 4_000, outcomes: [APPROVED] },
  unknown: { cards: [VISA], outcomes: [{ outcome: "unknown" }, APPROVED] },
  "not-sent": { cards: [VISA], outcomes: [{ outcome: "rejected" }, APPROVED] },
};
