import { describe, expect, it, vi } from "vitest";
import { callView, paymentView, progress } from "../samples.ts";
import { endedView } from "../view/ended.ts";
import type { CallView, FeedEvent, PaymentState, PaymentView, Progress } from "../wire.ts";
import { ASK_EVERY_MS, keepAsking } from "./asking.ts";
import {
  askAfter,
  awaitedCall,
  currentCall,
  type DeskState,
  NEW_DESK,
  paymentOf,
  presentCalls,
  reduce,
} from "./desk.ts";
import { judge, NEW_CLOCK, observe, sight, toHere } from "./freshness.ts";
import { Keys, newKey } from "./keys.ts";
import { keepNewer, mergeProgress, overlaid } from "./payment.ts";

const AT = Date.parse("2026-11-22T10:43:20.000Z");
const iso = (ms: number) => new Date(AT + ms).toISOString();

function hear(state: DeskState, now: number, ...events: FeedEvent[]): DeskState {
  return events.reduce((before, event) => reduce(before, { type: "feed", event, now }), state);
}

const callEvent = (part: Partial<CallView> = {}): FeedEvent => ({ event: "call", data: callView(part) });
const proofEvent = (ms: number): FeedEvent => ({ event: "proof", data: { call: "c1", at: iso(ms) } });

const empty = (door: "up" | "down"): FeedEvent => ({
  event: "snapshot",
  data: { calls: [], payments: [], door },
});
const hungUp = (call = "c1"): FeedEvent => ({ event: "call_ended", data: { call, end: "caller_hung_up" } });
const paying = (state: PaymentState, call = "c1"): FeedEvent =>
  callEvent({ call, payment: progress({ payment: `p of ${call}`, state }) });

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
    const after = hear(live, 0, empty("up"));
    expect(after.calls).toEqual({});
    expect(after.ended?.payment).toBe("p1");
    expect(after.payments.p1?.state).toBe("authorizing");
  });

  it("a_console_that_cannot_see_the_calls_ends_none", () => {
    const after = hear(hear(NEW_DESK, 0, callEvent()), 0, empty("down"));
    expect([after.door, Object.keys(after.calls), after.ended]).toEqual(["down", ["c1"], null]);
  });

  it("a_call_that_is_there_again_has_not_ended", () => {
    const gone = hear(NEW_DESK, 0, callEvent(), empty("up"));
    expect(gone.ended?.call.call).toBe("c1");
    expect(hear(gone, 0, callEvent()).ended).toBeNull();
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

  it("a_call_that_was_awaited_opens_by_itself_when_it_is_here", () => {
    const waiting = hear(NEW_DESK, 0, callEvent({ call: "c9", state: "awaited", caller: "" }));
    expect([currentCall(waiting), awaitedCall(waiting)?.call, presentCalls(waiting)]).toEqual([
      null,
      "c9",
      [],
    ]);
    const other = hear(waiting, 0, callEvent({ call: "c1", started_unix_ms: 1 }));
    expect(currentCall(other)?.call).toBe("c1");
    const here = hear(other, 0, callEvent({ call: "c9", state: "ringing", started_unix_ms: 2 }));
    expect([currentCall(here)?.call, awaitedCall(here)]).toEqual(["c9", null]);
    const expired = hear(waiting, 0, { event: "call_ended", data: { call: "c9", end: "not_transferred" } });
    expect([expired.ended, expired.calls]).toEqual([null, {}]);
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

describe("the stream", () => {
  const tick: FeedEvent = { event: "tick", data: {} };
  const link = (state: DeskState, status: "live" | "lost", now: number) =>
    reduce(state, { type: "link", status, now });

  it("is_as_old_as_what_came_last_on_it", () => {
    const live = hear(link(NEW_DESK, "live", 1_000), 2_000, tick);
    expect(sight(live.link, 4_900)).toEqual({ age: 2_900, holds: true, lost: false });
    expect(sight(live.link, 5_000).holds).toBe(false);
    expect(sight(live.link, 7_000).lost).toBe(true);
  });

  it("that_is_known_to_be_cut_does_not_look_younger_for_it", () => {
    const cut = link(hear(link(NEW_DESK, "live", 1_000), 2_000, tick), "lost", 6_500);
    expect(sight(cut.link, 6_600)).toEqual({ age: 4_600, holds: false, lost: true });
    expect(sight(link(cut, "live", 7_000).link, 7_100).holds).toBe(true);
  });

  it("does_not_age_while_the_browser_stands_still", () => {
    const live = hear(link(NEW_DESK, "live", 1_000), 2_000, tick);
    const later = (state: DeskState) => reduce(state, { type: "stood_still", ms: 4_000, now: 6_500 }).link;
    expect(sight(later(live), 6_500).holds).toBe(true);
    expect(later(hear(live, 6_400, tick)).heard).toBe(6_500);
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

describe("the last payments", () => {
  it("change_as_is_heard_of_them", () => {
    const list = [paymentView({ state: "unknown" }), paymentView({ id: "p0", state: "declined" })];
    const event = {
      event: "payment",
      data: paymentView({ state: "approved", updated_at: iso(10) }),
    } as const;
    const { payments } = hear(NEW_DESK, 0, event);
    expect(overlaid(list, payments).map(({ state }) => state)).toEqual(["approved", "declined"]);
  });

  it("are_not_set_back_by_what_was_heard_before_they_were_read", () => {
    const read = paymentView({ state: "approved", updated_at: iso(10) });
    expect(overlaid([read], { p1: paymentView({ state: "ready" }) })).toEqual([read]);
  });
});

describe("the money of a call that is over", () => {
  const told = (state: DeskState, known: PaymentState, settled: boolean) =>
    reduce(state, { type: "fate", payment: paymentView({ id: "p of c1", state: known }), settled });
  const words = (state: DeskState) =>
    state.ended && endedView(state.ended, state.payments[state.ended.payment ?? ""] ?? null).rest;

  it("is_asked_after_and_not_guessed_when_the_end_was_not_seen", () => {
    for (const state of ["waiting", "capturing", "ready", "declined", "not_sent"] as const) {
      const gone = hear(NEW_DESK, 0, paying(state), empty("up"));
      expect(askAfter(gone)).toBe("p of c1");
      expect(words(gone)).toContain("do not take the payment again");
      expect(words(gone)).not.toMatch(/nothing/i);
      expect(words(told(gone, "ready", false))).toContain("being checked");
      const approved = told(gone, "approved", true);
      expect([askAfter(approved), words(approved)]).toEqual([null, "£186.40 was approved."]);
      expect(words(told(gone, "cancelled", true))).toContain("Nothing was sent to the bank");
      expect(words(told(gone, "declined", false))).toContain("being checked");
      expect(words(told(gone, "declined", true))).toContain("Nothing was taken");
    }
  });

  it("is_followed_while_it_is_at_the_bank_however_the_call_ended", () => {
    for (const end of [hungUp(), empty("up")]) {
      const sent = hear(NEW_DESK, 0, paying("authorizing"), end);
      expect(askAfter(sent)).toBe("p of c1");
      expect(words(told(sent, "waiting", false))).not.toMatch(/nothing/i);
      expect(words(told(sent, "declined", false))).not.toMatch(/nothing/i);
      const unknown = told(sent, "unknown", false);
      expect(askAfter(unknown)).toBe("p of c1");
      expect(askAfter(told(unknown, "declined", true))).toBeNull();
    }
  });

  it("is_known_when_the_end_was_seen", () => {
    const over = hear(NEW_DESK, 0, paying("cancelled"), hungUp());
    expect([askAfter(over), words(over)]).toEqual([
      null,
      "Nothing was sent to the bank. What was keyed is erased.",
    ]);
    expect(askAfter(hear(NEW_DESK, 0, paying("ready"), hungUp()))).toBe("p of c1");
  });

  it("is_not_said_to_be_none_when_the_end_was_not_seen", () => {
    expect(words(hear(NEW_DESK, 0, callEvent(), hungUp()))).toBe("No payment was started.");
    expect(words(hear(NEW_DESK, 0, callEvent(), empty("up")))).toContain("Look at your last payments");
  });

  it("stays_on_the_screen_until_it_is_settled", () => {
    const sent = hear(NEW_DESK, 0, paying("unknown"), hungUp(), callEvent({ call: "c2" }), hungUp("c2"));
    expect(sent.ended?.call.call).toBe("c1");
    const after = hear(told(sent, "approved", true), 0, callEvent({ call: "c3" }), hungUp("c3"));
    expect(after.ended?.call.call).toBe("c3");
  });
});

describe("asking", () => {
  it("goes_on_until_it_is_stopped", async () => {
    vi.useFakeTimers();
    let asked = 0;
    const stop = keepAsking(() => Promise.resolve(++asked));
    await vi.advanceTimersByTimeAsync(2 * ASK_EVERY_MS);
    expect(asked).toBe(3);
    stop();
    await vi.advanceTimersByTimeAsync(2 * ASK_EVERY_MS);
    expect(asked).toBe(3);
    vi.useRealTimers();
  });
});

describe("idempotency keys", () => {
  it("are_uuids_in_their_usual_form_which_never_pass_for_a_card_number", () => {
    expect(newKey()).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(newKey()).not.toBe(newKey());
  });

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
