/** The shapes that the console sends. They mirror the `wire` crate and the console's own views, word for word. */

export type Brand =
  | "visa"
  | "mastercard"
  | "amex"
  | "diners"
  | "discover"
  | "troy"
  | "jcb"
  | "unionpay"
  | "naranja"
  | "verve"
  | "maestro"
  | "elo"
  | "mir"
  | "hiper"
  | "hipercard";

export type Money = { minor: number; currency: string };
/** What the house adds to an amount. */
export type Quote = { amount: Money; surcharge: Money; total: Money };
export type Field = "pan" | "expiry" | "cvv";
export type FieldStatus = "wait" | "live" | "ok" | "bad";
export type RejectReason =
  | "check_digit"
  | "length"
  | "unknown_brand"
  | "month"
  | "expired"
  | "too_far"
  | "too_slow"
  | "key_lost"
  | "too_many_tries"
  | "bank_refused";

export type FieldProgress = {
  field: Field;
  status: FieldStatus;
  digits: number;
  reason: RejectReason | null;
};

export type CardView = {
  brand: Brand;
  last4: string;
  expiry: { month: number; year: number } | null;
};

export type DeclineClass =
  | "insufficient_funds"
  | "do_not_honor"
  | "expired_card"
  | "wrong_cvv"
  | "wrong_address"
  | "not_allowed"
  | "lost_or_stolen"
  | "no_such_card"
  | "authentication_required"
  | "bank_down"
  | "other";

export type Outcome =
  | { outcome: "approved"; auth_code: string; gateway_ref: string; amount: Money }
  | { outcome: "declined"; class: DeclineClass; network_code: string | null }
  | { outcome: "rejected" }
  | { outcome: "unknown" }
  | { outcome: "abandoned" };

export type PaymentState =
  | "waiting"
  | "capturing"
  | "ready"
  | "authorizing"
  | "approved"
  | "declined"
  | "not_sent"
  | "unknown"
  | "cancelled"
  | "voided"
  | "refunded";

export type Progress = {
  payment: string;
  amount: Money;
  state: PaymentState;
  fields: FieldProgress[];
  brand: Brand | null;
  last4: string | null;
  pan_length_expected: number | null;
  outcome: Outcome | null;
  attempts: number;
};

/** `awaited`: the caller is to be transferred; nobody is here yet. */
export type CallState = "awaited" | "ringing" | "talking" | "held";
export type WayIn = "inline" | "code" | "pin";
export type LineState = "open" | "securing" | "secured" | "releasing" | "fault";
export type CallEnd =
  | "caller_hung_up"
  | "agent_hung_up"
  | "abandoned"
  | "not_answered"
  | "failed"
  | "not_transferred";

export type TimelineRow = { at: string; text_key: string; detail?: string | null };

export type Masking = "natural" | "strict";

export type CallView = {
  call: string;
  extension: string;
  caller: string;
  called: string;
  way: WayIn;
  /** The keys pass through a PBX, with its recorder and its network, before they come to us. */
  keys_cross_pbx: boolean;
  started_unix_ms: number;
  state: CallState;
  line: LineState;
  line_since_unix_ms: number;
  /** What the agent hears of the caller while the line is masked, or would hear. */
  masking: Masking;
  payment: Progress | null;
  timeline: TimelineRow[];
  proof_at: string | null;
};

/** Where the agent's PBX is to transfer the caller to, once. */
export type TransferView = {
  call: string;
  transfer_to: string;
  dial: string | null;
  expires_at: string;
  payment: string | null;
};

export type PaymentView = {
  id: string;
  call: string;
  amount: Money;
  account: string | null;
  invoice: string | null;
  reference: string | null;
  state: PaymentState;
  card: CardView | null;
  fields: FieldProgress[];
  brand: Brand | null;
  last4: string | null;
  pan_length_expected: number | null;
  outcome: Outcome | null;
  attempts: number;
  created_at: string;
  updated_at: string;
};

export type User = {
  id: number | string;
  name: string;
  email: string;
  role: string;
  extension: string | null;
};

/** Who is signed in, and the currency that the console is configured to offer first. */
export type Session = { user: User; currency: string };

export type Problem = { title?: string; status: number; detail?: string; code?: string };

/** What the event stream carries, under the name of its `event:` line. */
export type FeedEvent =
  | { event: "snapshot"; data: { calls: CallView[]; payments: PaymentView[]; door: "up" | "down" } }
  | { event: "call"; data: CallView }
  | { event: "call_ended"; data: { call: string; end: CallEnd } }
  | { event: "proof"; data: { call: string; at: string } }
  | { event: "payment"; data: PaymentView }
  | { event: "door"; data: { state: "up" | "down" } }
  /** Each second, so that a stream which carries nothing can be told from one that is dead. */
  | { event: "tick"; data: object };

export const FEED_EVENTS = ["snapshot", "call", "call_ended", "proof", "payment", "door", "tick"] as const;
