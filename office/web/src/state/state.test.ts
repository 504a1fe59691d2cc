import { describe, expect, it } from "vitest";
import { callView, paymentView, progress } from "../samples.ts";
import type { CallView, FeedEvent, PaymentView, Progress } from "../wire.ts";
import { currentCall, type DeskState, NEW_DESK, paymentOf, reduce } from "./desk.ts";
import { judge, NEW_CLOCK, observe, toHere } from "./freshness.ts";
import { Keys } from "./keys.ts";
import { keepNewer, mergeProgress } from "./payment.ts";

const AT = Date.parse("2026-11-22T10:43:20.000Z");
const iso = (ms: number) => new Date(AT + ms).toISOString();

function hear(state: DeskState, now: number, ...events: FeedEvent[]): DeskState {
  return events.reduce((before, event) => reduce(before, { type: "feed", event, now }), state);
}

const callEvent = (part: Partial<CallView> = {}): FeedEvent => ({ event: "call", data: callView(part) });
const proofEvent = (ms: number): FeedEvent => ({ event: "proof", data: { call: "c1", at: iso(ms) } });

describe("calls", () => {
  it("a_call_appears_by_itself_and_leaves_its_end_on_the_screen", () => {
    const live = hear(NEW_DESK, 0, callEvent());
    expect(currentCall(live)?.call).toBe("c1");
    const over = hear(live, 0, { event: "call_ended", data: { call: "c1", end: "caller_hung_up" } });
    expect(currentCall(over)).toBeNull();
    expect(over.ended?.end).toBe("caller_hung_up");
    expect(reduce(over, { type: "dismiss" }).ended).toBeNull();
  });

  it("a_snapshot_ends_calls_that_are_gone_and_keeps_what_is_known_of_their_payments", () => {
    const live = hear(NEW_DESK, 0, callEvent({ payment: progress({ state: "authorizing", attempts: 1 }) }));
    const after = hear(live, 0, { event: "snapshot", data: { calls: [], payments: [], door: "down" } });
    expect(after.calls).toEqual({});
    expect(after.door).toBe("down");
    expect(after.ended?.payment).toBe("p1");
    expect(after.payments.p1?.state).toBe("authorizing");
  });

  it("the_call_being_talked_on_is_shown_before_one_that_rings", () => {
    const state = hear(
      NEW_DESK,
      0,
      callEvent({ call: "c2", state: "ringing", started_unix_ms: 1 }),
      callEvent({ call: "c1", started_unix_ms: 2 }),
    );
    expect(currentCall(state)?.call).toBe("c1");
    expect(currentCall(reduce(state, { type: "choose", call: "c2" }))?.call).toBe("c2");
  });

  it("an_answer_about_a_call_that_has_ended_does_not_bring_it_back", () => {
    const state = reduce(NEW_DESK, { type: "call", call: callView(), now: 0 });
    expect(state.calls).toEqual({});
  });

  it("a_payment_that_was_refused_before_it_began_is_not_shown", () => {
    const stored: FeedEvent = { event: "payment", data: paymentView({ id: "p2", state: "waiting" }) };
    const state = hear(NEW_DESK, 0, callEvent(), stored);
    expect(paymentOf(state, callView())).toBeNull();
    expect(paymentOf(state, callView({ payment: progress({ payment: "p2" }) }))?.id).toBe("p2");
  });
});

describe("proof", () => {
  it("holds_for_two_seconds_and_is_lost_after_four", () => {
    expect(judge(1_000, 0, 2_999)).toEqual({ age: 1_999, holds: true, lost: false });
    expect(judge(1_000, 0, 3_000).holds).toBe(false);
    expect(judge(1_000, 0, 5_000).lost).toBe(true);
  });

  it("is_never_assumed_before_the_first_one", () => {
    expect(judge(null, 1_000, 1_001).holds).toBe(false);
  });

  it("clocks_that_disagree_do_not_matter", () => {
    const clock = observe(NEW_CLOCK, 9_000_000, 1_000);
    expect(toHere(clock, 9_000_500)).toBe(1_500);
  });

  it("that_was_held_up_in_a_replay_is_as_old_as_it_is", () => {
    const line = { line: "secured" } as const;
    const live = hear(NEW_DESK, 1_000, callEvent(line), proofEvent(1_000));
    const replayed = hear(live, 9_000, proofEvent(2_000));
    expect(replayed.proofs.c1).toBe(2_000);
    expect(judge(replayed.proofs.c1 ?? null, 0, 9_000).holds).toBe(false);
  });

  it("of_a_snapshot_counts_only_once_the_clocks_are_known", () => {
    const snapshot: FeedEvent = {
      event: "snapshot",
      data: { calls: [callView({ line: "secured", proof_at: iso(0) })], payments: [], door: "up" },
    };
    expect(hear(NEW_DESK, 1_000, snapshot).proofs).toEqual({});
  });
});

describe("payments", () => {
  const merged = (view: Partial<PaymentView>, live: Partial<Progress>) =>
    mergeProgress(paymentView(view), progress(live)).state;

  it("what_is_written_of_an_outcome_wins_over_what_is_shown_live", () => {
    expect(merged({ state: "approved", attempts: 1 }, { state: "authorizing", attempts: 1 })).toBe(
      "approved",
    );
    expect(merged({ state: "unknown", attempts: 1 }, { state: "ready", attempts: 1 })).toBe("unknown");
    expect(merged({ state: "cancelled" }, { state: "capturing" })).toBe("cancelled");
  });

  it("another_card_after_a_decline_is_shown", () => {
    expect(merged({ state: "declined", attempts: 1 }, { state: "capturing", attempts: 1 })).toBe("capturing");
    expect(merged({ state: "declined", attempts: 1 }, { state: "authorizing", attempts: 2 })).toBe(
      "authorizing",
    );
  });

  it("an_unknown_outcome_is_settled_by_an_answer_only", () => {
    expect(merged({ state: "unknown", attempts: 1 }, { state: "approved", attempts: 1 })).toBe("approved");
    expect(merged({ state: "unknown", attempts: 1 }, { state: "cancelled", attempts: 1 })).toBe("unknown");
  });

  it("an_answer_older_than_the_last_event_is_dropped", () => {
    const known = paymentView({ state: "ready", updated_at: iso(10) });
    const answer = paymentView({ state: "capturing", updated_at: iso(5) });
    expect(keepNewer(known, answer).state).toBe("ready");
    expect(keepNewer(known, { ...answer, updated_at: iso(10) }).state).toBe("capturing");
  });
});

describe("idempotency keys", () => {
  it("pressing_twice_in_one_state_is_one_deed", () => {
    let made = 0;
    const keys = new Keys(() => `key${++made}`);
    expect(keys.of("authorize p1 0")).toBe(keys.of("authorize p1 0"));
    expect(keys.of("authorize p1 1")).toBe("key2");
  });

  it("a_refused_deed_is_another_one_the_next_time", () => {
    let made = 0;
    const keys = new Keys(() => `key${++made}`);
    keys.of("secure");
    keys.answered("secure");
    expect(keys.of("secure")).toBe("key2");
  });
});
