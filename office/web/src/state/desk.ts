/** Everything that the desk knows, and how each event changes it. Pure: the time is handed in. */

import type { CallEnd, CallView, FeedEvent, PaymentView } from "../wire.ts";
import { type Clock, type Link, NEW_CLOCK, observe, toHere } from "./freshness.ts";
import { atBank, beingKeyed, finished, fromProgress, keepNewer, mergeProgress } from "./payment.ts";

/**
 * A call that is over. `end` is null when this screen did not see it; `sure` says whether what is known of the payment
 * was told after the end.
 */
export type Ended = { call: CallView; end: CallEnd | null; payment: string | null; sure: boolean };

export type DeskState = {
  link: Link;
  door: "up" | "down";
  clock: Clock;
  calls: Readonly<Record<string, CallView>>;
  payments: Readonly<Record<string, PaymentView>>;
  /** When the newest proof of each call was made, on this machine's clock. */
  proofs: Readonly<Record<string, number>>;
  /** Since when each call's line has been, or was becoming, masked here; a line without any proof ages from then. */
  maskedSince: Readonly<Record<string, number>>;
  /** The call that ended last, kept on the screen until the agent has read it. */
  ended: Ended | null;
  chosen: string | null;
};

export type Action =
  | { type: "feed"; event: FeedEvent; now: number }
  | { type: "link"; status: Link["status"]; now: number }
  | { type: "stood_still"; ms: number; now: number }
  | { type: "call"; call: CallView; now: number }
  | { type: "payment"; payment: PaymentView }
  | { type: "fate"; payment: PaymentView; settled: boolean }
  | { type: "choose"; call: string }
  | { type: "dismiss" };

export const NEW_DESK: DeskState = {
  link: { status: "connecting", heard: 0 },
  door: "up",
  clock: NEW_CLOCK,
  calls: {},
  payments: {},
  proofs: {},
  maskedSince: {},
  ended: null,
  chosen: null,
};

export function reduce(state: DeskState, action: Action): DeskState {
  switch (action.type) {
    case "feed":
      return heard({ ...state, link: { ...state.link, heard: action.now } }, action.event, action.now);
    case "link":
      return { ...state, link: linked(state.link, action.status, action.now) };
    case "stood_still":
      return { ...state, link: stoodStill(state.link, action.ms, action.now) };
    case "call":
      // The answer to a command may come after the event that says the call is over.
      return action.call.call in state.calls ? withCall(state, action.call, action.now) : state;
    case "payment":
      return withPayment(state, keepNewer(state.payments[action.payment.id], action.payment));
    case "fate":
      return fate(state, action.payment, action.settled);
    case "choose":
      return { ...state, chosen: action.call };
    case "dismiss":
      return { ...state, ended: null };
  }
}

/** That the server answered is as good as an event; a break is as old as the last one. */
function linked(link: Link, status: Link["status"], now: number): Link {
  return status === "lost" ? { ...link, status } : { status, heard: now };
}

/** While this page did not run, what came was not heard; that is no silence of the server. */
function stoodStill(link: Link, ms: number, now: number): Link {
  return { ...link, heard: Math.min(link.heard + ms, now) };
}

function heard(state: DeskState, event: FeedEvent, now: number): DeskState {
  switch (event.event) {
    case "snapshot":
      return snapshot(state, event.data, now);
    case "call":
      return withCall(state, event.data, now);
    case "call_ended":
      return callEnded(state, event.data.call, event.data.end);
    case "proof":
      return proved(state, event.data.call, event.data.at, now);
    case "payment":
      return withPayment(state, event.data);
    case "door":
      return { ...state, door: event.data.state };
    case "tick":
      return state;
  }
}

type Snapshot = Extract<FeedEvent, { event: "snapshot" }>["data"];

/**
 * A snapshot replaces what is live. A call that is gone from it has ended while nobody was looking; but a console that
 * has no connection to the card side may have begun without one, and then knows of no call.
 */
function snapshot(state: DeskState, data: Snapshot, now: number): DeskState {
  const live = new Set(data.calls.map((call) => call.call));
  let next = state;
  for (const call of data.door === "up" ? Object.keys(state.calls) : []) {
    if (!live.has(call)) next = callEnded(next, call, null);
  }
  for (const payment of data.payments) next = withPayment(next, payment);
  for (const call of data.calls) next = withCall(next, call, now);
  return { ...next, door: data.door };
}

function withCall(state: DeskState, call: CallView, now: number): DeskState {
  const masked = { ...state.maskedSince };
  if (call.line === "open" || call.line === "conference") delete masked[call.call];
  else masked[call.call] ??= now;
  const ended = state.ended?.call.call === call.call ? null : state.ended;
  // Whom the agent has had transferred is who they speak with next.
  const came = state.calls[call.call]?.state === "awaited" && call.state !== "awaited";
  const chosen = came ? call.call : state.chosen;
  const next = { ...state, calls: { ...state.calls, [call.call]: call }, maskedSince: masked, ended, chosen };
  const proof =
    call.proof_at === null || !(call.call in masked) ? null : toHere(state.clock, Date.parse(call.proof_at));
  const dated = proof === null ? next : withProof(next, call.call, proof);
  if (call.payment === null) return dated;
  const known = dated.payments[call.payment.payment];
  return withPayment(dated, known ? mergeProgress(known, call.payment) : fromProgress(call, call.payment));
}

function withPayment(state: DeskState, payment: PaymentView): DeskState {
  return { ...state, payments: { ...state.payments, [payment.id]: payment } };
}

function proved(state: DeskState, call: string, at: string, now: number): DeskState {
  const made = Date.parse(at);
  if (Number.isNaN(made)) return state;
  const clock = observe(state.clock, made, now);
  return withProof({ ...state, clock }, call, toHere(clock, made) ?? now);
}

function withProof(state: DeskState, call: string, here: number): DeskState {
  const before = state.proofs[call];
  return before !== undefined && before >= here
    ? state
    : { ...state, proofs: { ...state.proofs, [call]: here } };
}

function callEnded(state: DeskState, id: string, end: CallEnd | null): DeskState {
  const call = state.calls[id];
  if (call === undefined) return state;
  const { [id]: _call, ...calls } = state.calls;
  const { [id]: _proof, ...proofs } = state.proofs;
  const { [id]: _masked, ...maskedSince } = state.maskedSince;
  const next = { ...state, calls, proofs, maskedSince };
  // Nobody was there yet.
  if (call.state === "awaited") return next;
  const ended = endOf(state, call, end);
  // Money that is not settled stays on the screen rather than a call that leaves no question.
  const keep = askAfter(next) !== null && askAfter({ ...next, ended }) === null;
  return keep ? next : { ...next, ended };
}

/** An end that was seen came after all that was to be told of the payment, unless it was still being keyed. */
function endOf(state: DeskState, call: CallView, end: CallEnd | null): Ended {
  const payment = call.payment?.payment ?? null;
  const known = payment === null ? undefined : state.payments[payment]?.state;
  return { call, end, payment, sure: end !== null && (known === undefined || !beingKeyed(known)) };
}

/**
 * The answer to a question after the payment of a call that is gone. Once settled, it stands; before that it may be of an
 * earlier attempt, and then says nothing of the one that was seen.
 */
function fate(state: DeskState, payment: PaymentView, settled: boolean): DeskState {
  if (!settled && !atBank(payment.state) && payment.state !== "approved") return state;
  const known = state.payments[payment.id];
  const next = withPayment(state, settled ? payment : keepNewer(known, payment));
  const { ended } = next;
  return settled && ended?.payment === payment.id ? { ...next, ended: { ...ended, sure: true } } : next;
}

/** The payment of the ended call, if its fate is not known for certain: it must be asked after. */
export function askAfter({ ended, payments }: DeskState): string | null {
  const state = ended?.payment ? payments[ended.payment]?.state : undefined;
  if (ended === null || state === undefined || finished(state)) return null;
  return atBank(state) || !ended.sure ? ended.payment : null;
}

/** The calls that are here, without those that are to be transferred. */
export function presentCalls(state: DeskState): CallView[] {
  return Object.values(state.calls).filter((call) => call.state !== "awaited");
}

/** The call that is to be transferred to us, if the agent has asked for that. */
export function awaitedCall(state: DeskState): CallView | null {
  return Object.values(state.calls).find((call) => call.state === "awaited") ?? null;
}

/** The call on the screen: the one chosen, else the one being talked on, else the one that has waited longest. */
export function currentCall(state: DeskState): CallView | null {
  const chosen = state.chosen === null ? undefined : state.calls[state.chosen];
  if (chosen && chosen.state !== "awaited") return chosen;
  const calls = presentCalls(state).sort((a, b) => a.started_unix_ms - b.started_unix_ms);
  return calls.find((call) => call.state !== "ringing") ?? calls[0] ?? null;
}

/**
 * The payment that the call's own snapshot names. One that is only stored may have been refused, and then was none.
 */
export function paymentOf(state: DeskState, call: CallView): PaymentView | null {
  return call.payment === null ? null : (state.payments[call.payment.payment] ?? null);
}
