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
  /** What became of the card that was to be kept. */
  kept?: Keeping | null;
};

export type Keeping = "kept" | "not_kept";

/** `awaited`: the caller is to be transferred; nobody is here yet. `self_service`: the caller pays alone. */
export type CallState = "awaited" | "self_service" | "ringing" | "talking" | "held";
export type WayIn = "inline" | "code" | "pin" | "bounced" | "conference";
/** `conference`: keys are taken and nothing is masked; the agent can hear them. */
export type LineState = "open" | "securing" | "secured" | "releasing" | "fault" | "conference";
export type CallEnd =
  | "caller_hung_up"
  | "agent_hung_up"
  | "abandoned"
  | "not_answered"
  | "failed"
  | "not_transferred"
  | "conference_over";

export type TimelineRow = { at: string; text_key: string; detail?: string | null };

export type Masking = "natural" | "strict" | "none";

export type RecorderTrouble =
  | "no_recorder"
  | "unreachable"
  | "timed_out"
  | "refused"
  | "no_call_name"
  | "misconfigured"
  | "office_silent";

export type Recorders = {
  rule: "best_effort" | "required";
  state: "not_asked" | "asked" | "paused" | "not_paused";
  /** How often they were asked in this call. */
  round: number;
  trouble: RecorderTrouble | null;
  /** The caller's keys are kept from a payment for now, although the line is masked. */
  holds_payment: boolean;
};

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
  /** Recorders elsewhere that are to pause while the line is not open. */
  recorders?: Recorders | null;
  timeline: TimelineRow[];
  proof_at: string | null;
};

/** What may be asked for beside a transfer. */
export type TransferWays = { conference: boolean };

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
  /** The agreement that it is a payment of, or will be the first of. */
  agreement?: string | null;
  agreement_state?: "offered" | "agreed" | "not_agreed" | null;
  kept: Keeping | null;
  created_at: string;
  updated_at: string;
};

export type Unit = "days" | "weeks" | "months" | "month_ends";

/** Payments that come after the one of the call. */
export type Terms = {
  /** A day, such as `2027-01-31`. */
  start: string;
  unit: Unit;
  every: number;
  amount: Money;
  /** Without it they go on until they are stopped. */
  count?: number | null;
  until?: string | null;
  first_amount?: Money | null;
  last_amount?: Money | null;
  roll?: string;
  holidays?: string[] | null;
};

export type PlannedView = { number: number; day: string; due: string; amount: Money };

/** What terms mean; without an end there are no `count`, `total` and `last`. */
export type PreviewView = {
  payments: PlannedView[];
  count: number | null;
  total: Money | null;
  last: string | null;
  time_zone: string;
};

export type CalendarRow = {
  number: number;
  due: string;
  amount: Money;
  state: "planned" | "skip" | "waiting" | "sent" | "paid" | "failed" | "skipped";
  tries: number;
  next_try_at: string | null;
  trouble: string | null;
  payment: string | null;
  /** It should have been taken more than an hour ago. */
  overdue: boolean;
  /** Of one that is paid: what of it was given back later. */
  given_back: Money | null;
  /** Of one that is paid: the cardholder's bank has asked for it back. */
  disputed: boolean;
};

/** A payment that was not taken in its time, and nobody has decided about. */
export type MissedView = { agreement: string; account: string | null; payment: CalendarRow };

/** What recurring payments need people for. */
export type RecurringView = {
  enabled: boolean;
  /** Nothing is taken, because the clock of the machine is in doubt. */
  held: { why: "jumped" | "back" | "away" | "restored"; last_right_at: string; now: string } | null;
  missed: MissedView[];
};

/** A link to a customer's own calendar. */
export type LinkView = { path: string; url: string | null; valid_until: string };

export type AgreementView = {
  id: string;
  state: "active" | "paused" | "canceled" | "complete";
  account: string | null;
  contact: string | null;
  brand: Brand;
  last4: string;
  terms: Terms | null;
  next: CalendarRow | null;
  time_zone: string;
  reminder_days: number;
  made_by: string | null;
  created_at: string;
};

export type MessageView = {
  id: number;
  kind: string;
  contact: string | null;
  subject: string;
  text: string;
  created_at: string;
  taken_at: string | null;
};

export type AgreementDetail = AgreementView & {
  first: PaymentView | null;
  calendar: CalendarRow[];
  more: boolean;
  messages: MessageView[];
};

export type User = {
  id: number | string;
  name: string;
  email: string;
  role: string;
  extension: string | null;
  /** What they may do with money. */
  rights?: Right[];
};

export type Right = "charge" | "preauthorize" | "refund" | "store" | "finance";

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
