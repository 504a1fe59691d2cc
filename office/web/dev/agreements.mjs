/** Agreements as the console would show them. Only months and days; dates are those of UTC. */

import { randomUUID } from "node:crypto";

const dayOf = (date) => date.toISOString().slice(0, 10);
const SHOWN = 120;

function dueOf({ start, unit, every }, place) {
  const first = new Date(`${start}T00:00:00Z`);
  const days = { days: 1, weeks: 7 }[unit];
  if (days !== undefined) return dayOf(new Date(first.getTime() + place * every * days * 86_400_000));
  const [year, month] = [first.getUTCFullYear(), first.getUTCMonth() + place * every];
  const last = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  return dayOf(new Date(Date.UTC(year, month, Math.min(first.getUTCDate(), last))));
}

const day = (days) => dayOf(new Date(Date.now() + days * 86_400_000));

const rowOf = (number, due, amount, state = "planned", trouble = null) => ({
  number,
  due,
  amount,
  state,
  tries: 0,
  next_try_at: null,
  trouble,
  payment: null,
  overdue: false,
  given_back: null,
  disputed: false,
});

export class Agreements {
  #all = new Map();
  #held = null;

  /** One whose second payment was missed, and a clock that is in doubt. */
  seed() {
    const amount = { minor: 4_200, currency: "GBP" };
    const terms = { start: day(-40), unit: "days", every: 20, count: 6, amount };
    const first = {
      account: "NW-204417",
      amount,
      created_at: new Date(Date.now() - 60 * 86_400_000).toISOString(),
    };
    const agreement = this.#all.get(this.begin(first, { terms, contact: "ada@example.com" }));
    Object.assign(agreement.calendar[0], { state: "paid", given_back: { minor: 1_000, currency: "GBP" } });
    Object.assign(agreement.calendar[1], { state: "failed", trouble: "late" });
    Object.assign(agreement.calendar[2], { due: day(0), state: "waiting" });
    const now = new Date().toISOString();
    this.#held = { why: "jumped", last_right_at: "2026-11-20T09:00:00Z", now };
  }

  recurring() {
    const missed = [...this.#all.values()].flatMap((one) =>
      one.calendar
        .filter((row) => row.state === "failed")
        .map((payment) => ({ agreement: one.id, account: one.account, payment })),
    );
    return { enabled: true, held: this.#held, missed };
  }

  clockIsRight() {
    this.#held = null;
    return { status: 200, body: this.recurring() };
  }

  preview(terms) {
    const many = terms.count ?? SHOWN;
    const payments = Array.from({ length: many }, (_, place) => {
      const due = dueOf(terms, place);
      return { number: place + 1, day: due, due, amount: terms.amount };
    });
    const ends = terms.count !== undefined;
    const total = { ...terms.amount, minor: terms.amount.minor * many };
    const [count, last] = [ends ? many : null, ends ? payments.at(-1).due : null];
    return { payments, count, total: ends ? total : null, last, time_zone: "Europe/London" };
  }

  begin(payment, { terms, contact }) {
    const { payments, count } = this.preview(terms);
    const calendar = payments.map(({ number, due, amount }) => rowOf(number, due, amount));
    const created_at = new Date().toISOString();
    const told = {
      id: 1,
      kind: "started",
      subject: "Your payments are set up",
      contact: contact ?? null,
      created_at,
      taken_at: null,
    };
    const text = "You have agreed on payments from your Visa card ending in 4242.";
    const agreement = {
      id: randomUUID(),
      state: "active",
      account: payment.account,
      contact: contact ?? null,
      brand: "visa",
      last4: "4242",
      terms,
      time_zone: "Europe/London",
      reminder_days: 3,
      made_by: "priya@example.com",
      created_at,
      first: payment,
      calendar,
      more: count === null,
      messages: [{ ...told, text }],
    };
    this.#all.set(agreement.id, agreement);
    return agreement.id;
  }

  #shown(agreement) {
    const over = agreement.state === "canceled";
    const next = over ? null : (agreement.calendar.find((row) => row.state === "planned") ?? null);
    return { ...agreement, next, calendar: over ? [] : agreement.calendar };
  }

  list() {
    return {
      agreements: [...this.#all.values()].reverse().map((one) => this.#shown(one)),
      next_cursor: null,
    };
  }

  of(id) {
    const agreement = this.#all.get(id);
    return agreement && this.#shown(agreement);
  }

  write(path, body) {
    const [, , id, deed] = path.split("/");
    const agreement = this.#all.get(id);
    if (agreement === undefined) return { status: 404, code: "not_found" };
    if (deed === "link" && path.endsWith("/take-back")) return { status: 200, body: this.#shown(agreement) };
    if (deed === "link") {
      const valid_until = `${day(90)}T12:00:00Z`;
      return { status: 201, body: { path: `/calendar/${"bcdf".repeat(20)}`, url: null, valid_until } };
    }
    const row = agreement.calendar.find((row) => row.number === body?.number);
    if (deed === "skip" || deed === "leave") row.state = "skip";
    else if (deed === "take") Object.assign(row, { state: "waiting", trouble: null });
    else if (deed === "move") {
      const next = agreement.calendar.find((other) => other.number === row.number + 1);
      if (body.due !== undefined && next !== undefined && body.due > next.due) {
        return {
          status: 409,
          code: "out_of_order",
          detail: "A payment can be moved only up to the day of the next one.",
        };
      }
      const state = (body.due ?? row.due) > day(0) ? "planned" : row.state;
      Object.assign(row, { due: body.due ?? row.due, amount: body.amount ?? row.amount, state });
    } else if (deed === "amend") this.#amend(agreement, body.terms);
    else agreement.state = { pause: "paused", resume: "active", cancel: "canceled" }[deed];
    return { status: 200, body: this.#shown(agreement) };
  }

  #amend(agreement, terms) {
    const been = agreement.calendar.filter((row) => row.state === "paid" || row.state === "failed");
    const to_come = this.preview(terms).payments.map((row) =>
      rowOf(been.length + row.number, row.due, row.amount),
    );
    Object.assign(agreement, { terms, calendar: [...been, ...to_come] });
  }
}
