/** One call and its payments, with a scripted caller. Answers like the console, as far as the desk can tell. */

import { randomUUID } from "node:crypto";
import { scenarios } from "./scenarios.mjs";

const now = () => new Date().toISOString();
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const NAMES = { pan: "Card number", expiry: "Expiry", cvv: "Security code" };
const LENGTHS = { expiry: 4, cvv: 3 };

export class World {
  on = () => {};
  /** Told of a payment whose order says what is to be repeated; gives the name of the agreement. */
  agreed = () => null;
  call = null;
  payments = new Map();
  #repeats = new Map();

  constructor(name, pace) {
    const scenario = scenarios[name];
    if (scenario === undefined) throw new Error(`no scenario ${name}: ${Object.keys(scenarios).join(", ")}`);
    this.script = structuredClone(scenario);
    this.pace = pace;
    this.proving = true;
    setTimeout(() => this.ring(), pace * 16);
    setInterval(() => this.prove(), 1_000).unref();
  }

  snapshot() {
    const calls = this.call === null ? [] : [this.call];
    const payments = [...this.payments.values()].filter((payment) => payment.call === this.call?.call);
    return { calls, payments, door: "up" };
  }

  recent() {
    return [...this.payments.values()].reverse();
  }

  detail(payment) {
    const over = ["approved", "declined", "not_sent", "cancelled"].includes(payment.state);
    const settled = over && payment.call !== this.call?.call;
    return { ...payment, attempts: Array(payment.attempts).fill({}), audit: [], settled };
  }

  async ring() {
    this.call = {
      call: randomUUID(),
      extension: "1001",
      caller: "+447700900142",
      called: "+441632960001",
      way: "inline",
      keys_cross_pbx: false,
      started_unix_ms: Date.now(),
      state: "ringing",
      line: "open",
      line_since_unix_ms: Date.now(),
      masking: "natural",
      payment: null,
      recorders: null,
      timeline: [],
      proof_at: null,
    };
    this.note("call_came_in");
    await pause(this.pace * 4);
    this.call.state = "talking";
    this.note("agent_answered");
  }

  note(text_key, detail = null) {
    this.call.timeline.push({ at: now(), text_key, detail });
    this.tell();
  }

  tell() {
    if (this.call !== null) this.on("call", this.call);
  }

  prove() {
    if (!this.call || !this.proving || ["open", "fault"].includes(this.call.line)) return;
    this.call.proof_at = now();
    this.on("proof", { call: this.call.call, at: this.call.proof_at });
  }

  /** A line that leaves `secured` takes a payment with it that is not at the bank. */
  setLine(line) {
    const payment = this.live();
    const lost = ["capturing", "ready", "declined", "not_sent"].includes(payment?.state);
    if (lost && ["releasing", "fault"].includes(line)) this.cancel(payment);
    this.call.line = line;
    this.call.line_since_unix_ms = Date.now();
    this.note(`line_${line}`);
  }

  async write(path, body) {
    const [kind, id, what, field, deed] = path.split("/").slice(1);
    if (kind === "calls" && id === this.call?.call) {
      if (what === "payments") return this.start(body);
      if (what === "recorders") return this.pauseRecorders();
      return what === "secure" ? this.secure() : this.release();
    }
    const payment = this.payments.get(id);
    if (kind !== "payments" || payment === undefined) return { status: 404, code: "unknown_payment" };
    if (what === "fields") return this.ask(payment, field, deed);
    return what === "authorize" ? this.authorize(payment) : this.cancel(payment);
  }

  /** What is added to an amount, in basis points of it. */
  quote(amount) {
    const money = (minor) => ({ ...amount, minor });
    const owed = Math.round((amount.minor * (this.script.surcharge ?? 0)) / 10_000);
    return { amount, surcharge: money(owed), total: money(amount.minor + owed) };
  }

  async secure() {
    this.setLine("securing");
    await pause(this.pace * 3);
    const paused = this.askRecorders();
    this.setLine("secured");
    this.prove();
    paused.then(() => this.begin());
    if (this.script.proofs !== undefined) setTimeout(() => (this.proving = false), this.script.proofs);
    return { status: 200, body: this.call };
  }

  /** Nothing is keyed while recorders hold it. */
  begin() {
    const payment = this.live();
    if (payment?.state === "waiting" && !this.call.recorders?.holds_payment) this.capture(payment, "pan");
  }

  /** The recorders of the script answer one after the other; null is a pause. */
  async askRecorders() {
    if (this.script.recorders === undefined) return;
    const round = (this.call.recorders?.round ?? 0) + 1;
    const say = (state, holds_payment, trouble = null) => {
      this.call.recorders = { rule: "required", state, round, trouble, holds_payment };
      this.note(`recorders_${state}`, trouble);
    };
    say("asked", true);
    await pause(this.pace * 8);
    const trouble = this.script.recorders.shift();
    if (trouble) say("not_paused", true, trouble);
    else say("paused", false);
  }

  async pauseRecorders() {
    this.askRecorders().then(() => this.begin());
    return { status: 200, body: this.call };
  }

  async release() {
    this.setLine("releasing");
    setTimeout(() => this.call && this.call.line === "releasing" && this.setLine("open"), 3_000);
    return { status: 200, body: this.call };
  }

  live() {
    const last = [...this.payments.values()].at(-1);
    return last && !["approved", "cancelled"].includes(last.state) ? last : null;
  }

  start(order) {
    if (this.live()) return { status: 409, code: "payment_in_progress" };
    const { surcharge, total } = this.quote(order.amount);
    if ((order.surcharge?.minor ?? 0) !== surcharge.minor)
      return { status: 409, code: "surcharge_not_accepted" };
    const field = (name) => ({ field: name, status: "wait", digits: 0, reason: null });
    const payment = {
      id: randomUUID(),
      call: this.call.call,
      amount: total,
      account: order.account ?? null,
      invoice: order.invoice ?? null,
      reference: order.reference ?? null,
      state: "waiting",
      card: null,
      fields: ["pan", "expiry", "cvv"].map(field),
      brand: null,
      last4: null,
      pan_length_expected: null,
      outcome: null,
      attempts: 0,
      created_at: now(),
      updated_at: now(),
    };
    this.payments.set(payment.id, payment);
    if (order.repeat !== undefined) {
      this.#repeats.set(payment.id, order.repeat);
      payment.agreement_state = "offered";
    }
    this.note("payment_started");
    this.show(payment);
    if (this.call.line === "secured") this.begin();
    return { status: 201, body: payment };
  }

  show(payment) {
    payment.updated_at = now();
    const {
      id,
      call: _call,
      account: _a,
      invoice: _i,
      reference: _r,
      card: _c,
      created_at: _n,
      updated_at: _u,
      ...rest
    } = payment;
    if (this.call !== null) this.call.payment = { payment: id, ...rest };
    this.tell();
    this.on("payment", payment);
  }

  ask(payment, name, deed) {
    const field = payment.fields.find((one) => one.field === name);
    Object.assign(field, { digits: 0, reason: null });
    if (name === "pan") Object.assign(payment, { brand: null, last4: null, pan_length_expected: null });
    if (payment.state === "declined") {
      for (const one of payment.fields) Object.assign(one, { status: "wait", digits: 0, reason: null });
    }
    payment.outcome = null;
    payment.card = null;
    if (deed === "request" || field.status === "live") this.capture(payment, name);
    return { status: 200, body: payment };
  }

  /** One field after the other, digit by digit; a newer capture ends an older one. */
  async capture(payment, name) {
    const turn = Symbol();
    this.turn = turn;
    payment.state = "capturing";
    for (const one of payment.fields) if (one.status === "live") one.status = "wait";
    const field = payment.fields.find((one) => one.field === name);
    Object.assign(field, { status: "live", digits: 0, reason: null });
    this.show(payment);
    await pause(this.pace * 4);
    const card = this.script.cards[0];
    const length = name === "pan" ? card.length : LENGTHS[name];
    for (let digit = 1; digit <= length; digit += 1) {
      if (this.turn !== turn || this.call === null) return;
      field.digits = digit;
      if (name === "pan" && digit === 2) {
        Object.assign(payment, { brand: card.brand, pan_length_expected: card.length });
      }
      this.show(payment);
      if (this.script.at?.[`${name} ${digit}`])
        return this.event(this.script.at[`${name} ${digit}`], payment);
      await pause(this.pace);
    }
    if (this.turn === turn) this.accepted(payment, field);
  }

  accepted(payment, field) {
    const refusal = this.script.refuse?.[field.field];
    if (refusal !== undefined) {
      delete this.script.refuse[field.field];
      Object.assign(field, { status: "bad", reason: refusal });
      this.note("field_refused", NAMES[field.field]);
      return this.show(payment);
    }
    field.status = "ok";
    const card = this.script.cards[0];
    if (field.field === "pan") payment.last4 = card.last4;
    const shown = field.field === "pan" ? `: ${card.brand} ${card.last4}` : "";
    this.note("field_accepted", `${NAMES[field.field]}${shown}`);
    const next = payment.fields.find((one) => one.status !== "ok");
    if (next) return this.capture(payment, next.field);
    payment.state = "ready";
    this.show(payment);
  }

  async event(name, payment) {
    if (name === "hang_up") {
      const call = this.call;
      payment.state = "cancelled";
      this.show(payment);
      this.call = null;
      this.on("call_ended", { call: call.call, end: "caller_hung_up" });
    }
    if (name === "fault") this.setLine("fault");
  }

  authorize(payment) {
    if (payment.state !== "ready" && payment.state !== "not_sent")
      return { status: 409, code: "fields_missing" };
    payment.state = "authorizing";
    payment.attempts += 1;
    const expiry = { month: 9, year: 2028 };
    payment.card = { brand: payment.brand, last4: payment.last4, expiry };
    this.note("authorizing");
    this.show(payment);
    setTimeout(() => this.answer(payment), this.pace * 6);
    return { status: 202, body: payment };
  }

  answer(payment) {
    const outcome = structuredClone(this.script.outcomes.shift());
    if (outcome.outcome === "approved") outcome.amount = payment.amount;
    const repeat = this.#repeats.get(payment.id);
    if (outcome.outcome === "approved" && repeat !== undefined) {
      payment.agreement = this.agreed(payment, repeat);
      payment.agreement_state = "agreed";
    }
    payment.outcome = outcome;
    payment.state = { rejected: "not_sent", abandoned: "not_sent" }[outcome.outcome] ?? outcome.outcome;
    if (payment.state === "declined") this.script.cards.shift();
    this.note(payment.state);
    this.show(payment);
    if (payment.state === "approved" && this.call?.line === "secured") this.release();
    if (outcome.outcome === "unknown" && this.script.outcomes.length > 0) {
      setTimeout(() => this.answer(payment), this.pace * 20);
    }
  }

  cancel(payment) {
    this.turn = null;
    payment.state = "cancelled";
    this.note("payment_cancelled");
    this.show(payment);
    return { status: 200, body: payment };
  }
}
