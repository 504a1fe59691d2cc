/** Further payments from the same card, as they are typed beside the first one, and what they mean in words. */

import type { AgreementDetail, CalendarRow, Money, PreviewView, Terms, Unit } from "../wire.ts";
import { toMinor } from "./draft.ts";
import { decimalsOf, write } from "./money.ts";

/** What is typed. The amount is that of the first payment unless another is typed. */
export type RepeatDraft = {
  start: string;
  every: string;
  unit: Unit;
  count: string;
  amount: string;
  contact: string;
};
export type RepeatField = keyof RepeatDraft;

export const UNITS: Record<Unit, { one: string; many: string }> = {
  days: { one: "day", many: "days" },
  weeks: { one: "week", many: "weeks" },
  months: { one: "month", many: "months" },
  month_ends: { one: "month, on its last day", many: "months, on the last day" },
};

/** As the console's own limits. */
const EVERY_MAX = 366;
const COUNT_MAX = 12_000;

export const newRepeat = (today: Date): RepeatDraft => ({
  start: inAMonth(today),
  every: "1",
  unit: "months",
  count: "",
  amount: "",
  contact: "",
});

/** The same day of the next month, or the last one of a month that has no such day. */
export function inAMonth(today: Date): string {
  const [year, month] = [today.getFullYear(), today.getMonth() + 1];
  const day = Math.min(today.getDate(), new Date(year, month + 1, 0).getDate());
  const next = new Date(Date.UTC(year, month, day));
  return next.toISOString().slice(0, 10);
}

export type Checked = { terms: Terms } | { field: RepeatField; error: string };

/** The terms, or the first box that is wrong and why. */
export function checkRepeat(draft: RepeatDraft, first: Money | null, currency: string): Checked {
  const wrong = (field: RepeatField, error: string): Checked => ({ field, error });
  if (!/^\d{4}-\d{2}-\d{2}$/.test(draft.start)) return wrong("start", "Choose the day of the next payment.");
  const every = whole(draft.every);
  if (every === null || every < 1 || every > EVERY_MAX) {
    return wrong("every", `Write a number from 1 to ${EVERY_MAX}.`);
  }
  const count = draft.count.trim() === "" ? null : whole(draft.count);
  if (draft.count.trim() !== "" && (count === null || count < 1 || count > COUNT_MAX)) {
    return wrong("count", "Write how many, or leave it empty: then they go on until they are stopped.");
  }
  const amount = draft.amount.trim() === "" ? first : toMinor(draft.amount, currency);
  if (typeof amount === "string") return wrong("amount", amount);
  if (amount === null) return wrong("amount", "Type the amount.");
  const money = typeof amount === "number" ? { minor: amount, currency } : amount;
  const terms: Terms = { start: draft.start, unit: draft.unit, every, amount: money };
  if (count !== null) terms.count = count;
  return { terms };
}

function whole(text: string): number | null {
  return /^\d{1,5}$/.test(text.trim()) ? Number(text.trim()) : null;
}

/** `31 January 2027`. */
export function longDay(day: string): string {
  const options = { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" } as const;
  return new Date(`${day}T00:00:00Z`).toLocaleDateString("en-GB", options);
}

/** Payments that are named one by one. */
const NAMED_MAX = 4;

/** What the agent reads to the caller before they agree. `from` is what these payments come after. */
export function previewWords({ payments, count, total, last }: PreviewView, from = "After today"): string {
  const named = payments.slice(0, count === null || count > NAMED_MAX ? NAMED_MAX - 1 : NAMED_MAX);
  const dates = named.map(({ due, amount }) => `${write(amount)} on ${longDay(due)}`).join(", ");
  if (count === null || total === null || last === null) {
    return `${from}: ${dates}, and so on until you ask us to stop.`;
  }
  const rest = count > named.length ? `, and so on; the last one on ${longDay(last)}` : "";
  const many = count === 1 ? "one payment" : `${count} payments`;
  return `${from}: ${dates}${rest}. That is ${many}, ${write(total)} in all.`;
}

/** `every 2 weeks`. */
export function rhythm({ unit, every }: Pick<Terms, "unit" | "every">): string {
  return every === 1 ? `every ${UNITS[unit].one}` : `every ${every} ${UNITS[unit].many}`;
}

type Look = { tone: string; icon: string; words: string };

/** How one payment of a calendar stands. */
export const ROWS: Record<CalendarRow["state"], Look> = {
  planned: { tone: "", icon: "clock", words: "To come" },
  skip: { tone: "", icon: "x", words: "Left out" },
  waiting: { tone: "warn", icon: "clock", words: "Being taken" },
  sent: { tone: "warn", icon: "clock", words: "Being confirmed" },
  paid: { tone: "ok", icon: "check", words: "Paid" },
  failed: { tone: "bad", icon: "x", words: "Not paid" },
  skipped: { tone: "", icon: "x", words: "Left out" },
};

/** How one stands, and what has become of its money since. */
export function rowLook(row: CalendarRow): Look {
  if (row.state === "paid" && row.given_back !== null) {
    const whole = row.given_back.minor >= row.amount.minor;
    const words = whole ? "Refunded" : `Partly refunded (${write(row.given_back)})`;
    return { tone: "", icon: "redo", words: row.disputed ? `${words}, disputed` : words };
  }
  if (row.state === "paid" && row.disputed) return { tone: "warn", icon: "alert", words: "Paid, disputed" };
  return ROWS[row.state];
}

const TROUBLES: Record<string, string> = {
  declined: "The bank said no.",
  revoked: "The customer told the bank to stop.",
  no_card: "The card is no longer kept.",
  not_done: "It could not be sent. Nothing was taken.",
  unknown: "The outcome is being confirmed. Do not take it again.",
  late: "It was not taken in its time. Nothing was taken.",
  amended: "Other terms took its place.",
};

/** Why a payment is not taken, and what comes next. */
export function rowNote(row: CalendarRow): string {
  const late = row.overdue ? "It should have been taken already." : "";
  const why = `${row.trouble === null ? "" : (TROUBLES[row.trouble] ?? "")} ${late}`.trim();
  if (row.next_try_at === null) return why;
  return `${why} Tried again on ${longDay(row.next_try_at.slice(0, 10))}.`.trim();
}

export const STATES: Record<string, Look> = {
  active: { tone: "ok", icon: "check", words: "Active" },
  paused: { tone: "warn", icon: "clock", words: "Paused" },
  canceled: { tone: "", icon: "x", words: "Stopped" },
  complete: { tone: "", icon: "check", words: "All taken" },
};

/** May this payment still be left out? */
export const maySkip = (row: CalendarRow): boolean => row.state === "planned" || row.state === "waiting";

/** May its day or amount still be another one? After a try the bank knows it as it was. */
export const mayMove = (row: CalendarRow): boolean => maySkip(row) && row.tries === 0;

/** Was it not taken in its time, so that people decide? */
export const isMissed = (row: CalendarRow): boolean =>
  row.state === "failed" && (row.trouble === "late" || row.trouble === "not_done");

/** What is typed of other terms: as they are now, for what is left. */
export function amendDraft({ terms, next, calendar, more }: AgreementDetail, today: Date): RepeatDraft {
  if (terms === null) return newRepeat(today);
  const { every, unit, amount } = terms;
  const counted = terms.count ?? null;
  const left = more ? counted : calendar.filter((row) => row.state === "planned").length;
  const start = next?.due ?? inAMonth(today);
  const count = counted !== null && left !== null && left > 0 ? String(left) : "";
  return { start, every: String(every), unit, count, amount: plain(amount), contact: "" };
}

/** What is not on the form stays as it was; an amount of the first payment was that of one that is over. */
export function amended(old: Terms | null, typed: Terms): Terms {
  const { until, roll, holidays, last_amount } = old ?? {};
  const terms: Terms = { ...typed };
  if (until !== undefined && until !== null) terms.until = until;
  if (roll !== undefined) terms.roll = roll;
  if (holidays !== undefined && holidays !== null) terms.holidays = holidays;
  const ends = terms.count !== undefined || terms.until !== undefined;
  if (ends && last_amount !== undefined && last_amount !== null) terms.last_amount = last_amount;
  return terms;
}

export type MoveDraft = { due: string; amount: string };
type Move = { number: number; due?: string; amount?: Money };

/** What of one payment is to be another, null where nothing is, or what is wrong. */
export function checkMove(
  row: CalendarRow,
  draft: MoveDraft,
): Move | null | { error: string; field: keyof MoveDraft } {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(draft.due)) return { field: "due", error: "Choose a day." };
  const minor = toMinor(draft.amount, row.amount.currency);
  if (typeof minor === "string") return { field: "amount", error: minor };
  const move: Move = { number: row.number };
  if (draft.due !== row.due) move.due = draft.due;
  if (minor !== row.amount.minor) move.amount = { ...row.amount, minor };
  return move.due === undefined && move.amount === undefined ? null : move;
}

/** `15.00`, to be typed over. */
export function plain({ minor, currency }: Money): string {
  const decimals = decimalsOf(currency);
  return (minor / 10 ** decimals).toFixed(decimals);
}
