/** Money that was taken, for the pages beside the desk: a few payments, an alarm, an unknown, a day with differences. */

import { randomUUID } from "node:crypto";

const gbp = (minor) => ({ minor, currency: "GBP" });
const CARD = { brand: "visa", last4: "4242", expiry: { month: 9, year: 2028 } };
const approved = (minor, name) => ({
  outcome: "approved",
  auth_code: "074213",
  gateway_ref: name,
  amount: gbp(minor),
});

/** A kept card that its gateway has not deleted. */
const ASKED = () => ({
  ...{ token: "a5".repeat(16), state: "asked", since: new Date().toISOString() },
  ...{ said_by: null, said_at: null, reason: null, confirmed_by: null },
});

export class Money {
  keyed = new Map();
  found = new Map();
  reports = [];

  constructor() {
    this.payments = [
      this.payment("NW-204417", 18640, { card_deletion: ASKED() }),
      this.payment("NW-118230", 6400, { capture: "later", captured: gbp(0) }),
      this.payment("NW-300951", 21275, {
        state: "unknown",
        approved: null,
        captured: gbp(0),
        needs_people: true,
      }),
      this.payment("NW-771204", 3810, {}, ["disputed"]),
      this.payment("NW-551002", 5820, { review: "wanted" }),
    ];
  }

  payment(account, minor, more, alarms = []) {
    const at = new Date(Date.now() - 3_600_000).toISOString();
    const unknown = more.state === "unknown";
    const outcome = unknown ? { outcome: "unknown" } : approved(minor, `pi_${account}`);
    const attempt = this.attempt("authorize", minor, outcome, 1);
    return {
      ...{
        id: randomUUID(),
        call: randomUUID(),
        amount: gbp(minor),
        account,
        invoice: null,
        reference: null,
      },
      ...{
        state: "approved",
        card: CARD,
        fields: [],
        brand: "visa",
        last4: "4242",
        pan_length_expected: null,
      },
      ...{ outcome, attempts: [{ ...attempt, card: CARD }], capture: "now", approved: gbp(minor) },
      ...{ captured: gbp(minor), refunded: gbp(0), review: null, needs_people: false },
      alarms: alarms.map((alarm, at_) => ({
        id: at_ + 1,
        alarm,
        at,
        seen_at: null,
        seen_by: null,
        note: null,
      })),
      card_deletion: null,
      audit: [{ at, who: "system", api_key: null, what: "attempt_ended", result: "approved", origin: "cde" }],
      ...{ created_at: at, updated_at: at },
      ...more,
    };
  }

  attempt(kind, minor, outcome, number) {
    const at = new Date().toISOString();
    return {
      id: randomUUID(),
      number,
      kind,
      amount: gbp(minor),
      card: null,
      outcome,
      sent_at: at,
      ended_at: at,
    };
  }

  shown = (payment) => ({
    ...payment,
    attempts: payment.attempts.length,
    alarms_open: payment.alarms.filter((alarm) => alarm.seen_at === null).length,
  });

  waits = (payment) =>
    payment.needs_people || payment.review === "wanted" || this.shown(payment).alarms_open > 0;

  /** None where the path is no page's of these. */
  read(path, url) {
    const one = this.payments.find(({ id }) => path === `/payments/${id}`);
    if (one) return { ...one, alarms_open: this.shown(one).alarms_open, settled: true };
    if (path === "/payments") return { payments: this.payments.map(this.shown), next_cursor: null };
    if (path === "/finance") return { payments: this.payments.filter(this.waits).map(this.shown) };
    if (path === "/manual-payments")
      return { payments: this.byHand(url.searchParams.get("keyed") === "true"), next_cursor: null };
    if (path === "/reconciliations") {
      return { reports: this.reports, yesterday: "2026-11-25", time_zone: "Europe/London" };
    }
    const day = /^\/reconciliations\/(\d{4}-\d\d-\d\d)$/.exec(path)?.[1];
    return day === undefined ? undefined : this.day(day);
  }

  byHand(keyed) {
    const rows = this.payments
      .filter(({ captured }) => captured.minor > 0)
      .map((payment) => {
        const taken = payment.captured.minor - payment.refunded.minor;
        const before = this.keyed.get(payment.id) ?? 0;
        const by = before === 0 ? null : "priya@example.com";
        return {
          ...{ payment: payment.id, account: payment.account, invoice: null, reference: null },
          ...{ taken: gbp(taken), keyed: gbp(before), to_key: gbp(taken - before) },
          ...{ keyed_by: by, keyed_at: by && new Date().toISOString(), created_at: payment.created_at },
        };
      });
    return rows.filter(({ to_key, keyed: before }) =>
      keyed ? to_key.minor === 0 && before.minor !== 0 : to_key.minor !== 0,
    );
  }

  upload(text, name) {
    if (text.includes("4242424242424242")) {
      const detail =
        "Line 2 holds something that looks like a card number. Nothing was stored. Leave that column out.";
      return { status: 422, code: "looks_like_card", detail };
    }
    const known = this.reports.find((report) => report.text === text);
    if (known) return { status: 200, body: { report: known, known: true } };
    const at = "2026-11-25T16:40:00Z";
    const lines = text.trim().split("\n").length - 1;
    const report = {
      id: randomUUID(),
      merchant: "main",
      source: "stripe",
      format: "stripe",
      state: "here",
      name,
      lines,
      stored: lines,
      fresh: lines,
      conflicts: 0,
      skipped: 0,
      text,
    };
    Object.assign(report, { first_at: at, last_at: at, who: "priya@example.com", at });
    this.reports.unshift(report);
    return { status: 201, body: { report, known: false } };
  }

  /** The gateway tells of one movement. */
  asked() {
    const { report, known } = this.upload("asked\ntxn_1", "stripe-uk 2026-11-25").body;
    return { status: 200, body: { gateways: [{ gateway: "stripe-uk", report, known }] } };
  }

  takeBack(id) {
    const known = this.reports.some((report) => report.id === id);
    this.reports = this.reports.filter((report) => report.id !== id);
    return known ? { status: 200, body: { give_again: [] } } : { status: 404, code: "not_found" };
  }

  /** Before a report nothing has a line. */
  day(day) {
    const at = "2026-11-25T16:40:00Z";
    const ours = (payment) => ({
      ...{ payment: payment.id, attempt: payment.attempts[0].id, kind: "authorize", money: payment.amount },
      ...{ sent_at: at, account: payment.account, gateway_ref: `pi_${payment.account}` },
    });
    const theirs = (minor, name, copies = 1) => ({
      money: gbp(minor),
      fee: gbp(43),
      source: "stripe",
      at,
      names: [name],
      copies,
    });
    const pair = (payment, line, what = "charge", why = null) => ({
      ...{ what, ours: payment && ours(payment), theirs: line, why },
    });
    const [first, , third, fourth, fifth] = this.payments;
    const told = this.reports.length > 0;
    const lists = {
      matched: told ? [pair(first, theirs(18640, "ch_1"))] : [],
      differs: told ? [pair(fourth, theirs(3801, "ch_4"))] : [],
      contradicted: [],
      unknown: [pair(third, told ? theirs(21275, "ch_3") : null)],
      ours_only: told ? [pair(fifth, null)] : [pair(first, null), pair(fourth, null), pair(fifth, null)],
      theirs_only: told ? [pair(null, theirs(18640, "ch_9"), "charge", "again")] : [],
      apart: told ? [pair(null, theirs(3810, "dp_1"), "chargeback")] : [],
    };
    const counts = Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, list.length]));
    const totals = {
      ...{ ours_taken: gbp(28270), theirs_taken: gbp(told ? 62356 : 0), fees: gbp(told ? 258 : 0) },
      ...{ ours_given_back: gbp(0), theirs_given_back: gbp(0), chargebacks: gbp(told ? 3810 : 0) },
    };
    const head = { day, merchant: "main", time_zone: "Europe/London", clean: false, reports: this.reports };
    return {
      ...head,
      counts: { ...counts, refunds: 0, duplicates: 0, conflicts: 0 },
      totals: [totals],
      ...lists,
    };
  }

  write(path, body) {
    const going = this.payments.find(({ card_deletion: card }) => path === `/cards/${card?.token}/deleted`);
    if (going) return this.deleted(going.card_deletion, body);
    const [, id, deed, rest, verb] = /^\/payments\/([\w-]+)\/(\w+)(?:\/([\w-]+)\/(\w+))?$/.exec(path) ?? [];
    const payment = this.payments.find((one) => one.id === id);
    if (payment === undefined) return undefined;
    switch (verb ?? deed) {
      case "refund":
      case "capture":
        return this.moved(payment, deed, body?.amount);
      case "void":
        Object.assign(payment, { state: "voided", captured: gbp(0) });
        payment.attempts.push(this.attempt("void", payment.amount.minor, approved(0, "vd"), 2));
        return { status: 202, body: this.shown(payment) };
      case "review":
        payment.review = body.accept ? "accepted" : "wanted";
        return { status: body.accept ? 200 : 202, body: this.shown(payment) };
      case "settle":
        return this.settled(payment, rest, body.found);
      case "seen":
        Object.assign(payment.alarms[0], { seen_at: new Date().toISOString(), seen_by: "priya@example.com" });
        payment.alarms[0].note = body.note || null;
        return { status: 200, body: { alarms: payment.alarms } };
      case "keyed":
        this.keyed.set(payment.id, body.shown.minor);
        return { status: 200, body };
      default:
        return undefined;
    }
  }

  moved(payment, kind, amount) {
    const sum = kind === "refund" ? payment.refunded : payment.captured;
    const most = kind === "refund" ? payment.captured.minor : payment.approved.minor;
    if (sum.minor + amount.minor > most) return { status: 409, code: "above_captured" };
    sum.minor += amount.minor;
    payment.attempts.push(
      this.attempt(kind, amount.minor, approved(amount.minor, `${kind}_1`), payment.attempts.length + 1),
    );
    if (payment.refunded.minor === payment.captured.minor) payment.state = "refunded";
    return { status: 202, body: this.shown(payment) };
  }

  /** What is said here is a colleague's, so that the second press is the second person's. */
  deleted(card, { found, reason }) {
    if (found === "not_done") {
      Object.assign(card, { said_by: null, said_at: null, reason: null });
      return { status: 202, body: { settled: false } };
    }
    if (card.said_by !== null) {
      Object.assign(card, { state: "by_hand", confirmed_by: "priya@example.com" });
      return { status: 200, body: { settled: true } };
    }
    if (!reason) {
      const detail = "Say where and how it was deleted (`reason`).";
      return { status: 422, code: "reason_missing", detail };
    }
    Object.assign(card, { said_by: "fay@example.com", said_at: new Date().toISOString(), reason });
    return { status: 202, body: { settled: false } };
  }

  /** In the real console it takes another user; here the second press stands for them. */
  settled(payment, attempt, found) {
    const second = this.found.get(attempt) === found;
    this.found.set(attempt, found);
    if (!second) return { status: 202, body: { settled: false } };
    payment.attempts[0].outcome =
      found === "done" ? approved(payment.amount.minor, "pi_3") : { outcome: "abandoned" };
    Object.assign(payment, { needs_people: false, state: "approved", captured: { ...payment.amount } });
    payment.approved = payment.amount;
    return { status: 200, body: { settled: true } };
  }
}
