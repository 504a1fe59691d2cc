/** What the console sends about money that was taken, and about gateways' reports. */

import type { CardView, Money, Outcome, PaymentView } from "../wire.ts";

export type AttemptKind =
  | "authorize"
  | "capture"
  | "void"
  | "refund"
  | "store"
  | "charge_stored"
  | "delete_stored";

export type Attempt = {
  id: string;
  number: number;
  kind: AttemptKind;
  amount: Money | null;
  card: CardView | null;
  outcome: Outcome | null;
  sent_at: string;
  ended_at: string | null;
};

export type Alarm = {
  id: number;
  alarm: string;
  at: string;
  seen_at: string | null;
  seen_by: string | null;
  note: string | null;
};

/** A payment as it is stored. */
export type Paid = PaymentView & {
  capture: "now" | "later";
  approved: Money | null;
  captured: Money;
  refunded: Money;
  review: "wanted" | "accepted" | "rejected" | null;
  needs_people: boolean;
  alarms_open: number;
};

/** How a kept card goes: asked for, gone as who had it says, or gone as two people say. */
export type CardDeletion = {
  token: string;
  state: "asked" | "deleted" | "by_hand";
  since: string;
  said_by: string | null;
  said_at: string | null;
  reason: string | null;
  confirmed_by: string | null;
};

export type PaidDetail = Omit<Paid, "attempts"> & {
  attempts: Attempt[];
  alarms: Alarm[];
  card_deletion: CardDeletion | null;
  audit: { at: string; who: string; api_key: string | null; what: string; result: string; origin: string }[];
};

export type ReportView = {
  id: string;
  /** The account at the gateway or bank that it is from. */
  source: string;
  format: string;
  /** `coming` while its lines are written down. */
  state: "coming" | "here";
  name: string;
  lines: number;
  stored: number;
  fresh: number;
  conflicts: number;
  skipped: number;
  first_at: string | null;
  last_at: string | null;
  who: string;
  at: string;
};

export type Pair = {
  what: string;
  ours: {
    payment: string;
    attempt: string;
    money: Money;
    sent_at: string;
    account: string | null;
    gateway_ref: string;
  } | null;
  theirs: {
    money: Money;
    fee: Money | null;
    source: string;
    at: string;
    names: string[];
    copies: number;
  } | null;
  why: "not_ours" | "again" | "conflict" | null;
};

export type Finding =
  | "differs"
  | "contradicted"
  | "unknown"
  | "ours_only"
  | "theirs_only"
  | "apart"
  | "matched";

export type Totals = Record<
  "ours_taken" | "theirs_taken" | "ours_given_back" | "theirs_given_back" | "fees" | "chargebacks",
  Money
>;

export type DayView = Record<Finding, Pair[]> & {
  day: string;
  time_zone: string;
  clean: boolean;
  counts: Record<Finding | "refunds" | "duplicates" | "conflicts", number>;
  totals: Totals[];
  reports: ReportView[];
};

export type ByHandRow = {
  payment: string;
  account: string | null;
  invoice: string | null;
  reference: string | null;
  taken: Money;
  keyed: Money;
  to_key: Money;
  keyed_by: string | null;
  keyed_at: string | null;
  created_at: string;
};
