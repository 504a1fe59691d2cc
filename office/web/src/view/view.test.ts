import { describe, expect, it } from "vitest";
import { callView, fields, paymentView, progress } from "../samples.ts";
import { type DeskState, NEW_DESK } from "../state/desk.ts";
import type { LineState, PaymentState } from "../wire.ts";
import { announce, type Moment } from "./announce.ts";
import { mayCancel, mayRelease, maySecure, mayTake, panelOf, takeReason } from "./deeds.ts";
import { endedView } from "./ended.ts";
import { fieldRows, fieldToRepeat, keyed } from "./fields.ts";
import { lineView } from "./line.ts";
import { outcomeSpoken, outcomeView } from "./outcome.ts";
import { problemWords, signInWords, surelyNotDone } from "./problems.ts";
import { script } from "./script.ts";
import { shortcut } from "./shortcuts.ts";
import { timeline } from "./timeline.ts";

const NOW = 100_000;
const GBP = (minor: number) => ({ minor, currency: "GBP" });

function desk(line: LineState, proofAge: number | null, part: Partial<DeskState> = {}): DeskState {
  return {
    ...NEW_DESK,
    link: { status: "live", heard: NOW },
    calls: { c1: callView({ line }) },
    maskedSince: line === "open" ? {} : { c1: NOW - 60_000 },
    proofs: proofAge === null ? {} : { c1: NOW - proofAge },
    ...part,
  };
}

const band = (state: DeskState) => lineView(state, state.calls.c1 ?? callView(), NOW);

describe("the line band", () => {
  it("is_solid_only_with_a_proof_younger_than_two_seconds", () => {
    expect(band(desk("secured", 1_999)).look).toBe("secured");
    expect(band(desk("secured", 2_000)).look).toBe("stale");
    expect(band(desk("secured", null)).look).toBe("stale");
    expect(band(desk("releasing", 2_000)).look).toBe("stale");
  });

  it("tells_in_a_banner_after_four_seconds", () => {
    expect(band(desk("secured", 3_999)).banner).toBeNull();
    expect(band(desk("secured", 4_000)).banner).not.toBeNull();
  });

  it("does_not_guess_when_the_connection_is_gone", () => {
    const lost = { link: { status: "lost", heard: NOW - 5_000 } as const };
    expect(band(desk("secured", 100, lost)).look).toBe("stale");
    expect(band(desk("open", null, lost)).title).toContain("Can’t see the line: open 5 s ago");
    expect(band(desk("open", null, lost)).banner).not.toBeNull();
  });

  it("of_an_open_line_is_stale_when_nothing_comes_on_a_stream_that_looks_open", () => {
    const silent = (ms: number) => band(desk("open", null, { link: { status: "live", heard: NOW - ms } }));
    expect([silent(2_900).look, silent(3_000).look]).toEqual(["open", "stale"]);
    expect([silent(4_900).banner, silent(5_000).banner?.title]).toEqual([
      null,
      "This screen lost its connection 5 s ago.",
    ]);
  });

  it("says_honestly_what_the_agent_hears", () => {
    const heard = (masking: "natural" | "strict") =>
      band(desk("secured", 0, { calls: { c1: callView({ line: "secured", masking }) } }));
    expect(heard("natural").sub).toContain("You hear the caller");
    expect(heard("natural").hears?.you).toBe("The voice, no keys");
    expect(heard("strict").sub).toContain("You can’t hear the caller now");
    expect(heard("strict").hears?.you).toBe("A soft pulse, no voice");
    expect(JSON.stringify(heard("natural"))).not.toMatch(/witness/i);
  });

  it("never_says_that_nothing_was_charged_when_that_is_not_known", () => {
    const payments = { p1: paymentView({ state: "authorizing" }) };
    const calls = { c1: callView({ line: "fault", payment: progress({ state: "authorizing" }) }) };
    expect(band(desk("fault", null, { calls, payments })).sub).not.toContain("Nothing was charged");
    expect(band(desk("fault", null)).sub).toContain("Nothing was charged");
  });

  it("claims_nothing_of_the_agents_ear_when_masking_can_not_be_proved", () => {
    const view = band(desk("fault", null));
    expect(view.title).toContain("could not be proved");
    expect(view.sub).toContain("Ask the caller not to key anything");
    expect([view.hears, /muted|silence/i.test(view.sub)]).toEqual([null, false]);
  });

  it("of_a_conference_never_looks_secured_and_says_that_the_keys_are_heard", () => {
    const call = callView({ way: "conference", line: "conference", masking: "none" });
    for (const proof of [null, 0]) {
      const view = band(desk("conference", proof, { calls: { c1: call } }));
      expect([view.look, view.title, view.button, view.hears]).toEqual([
        "conference",
        "Not masked: you can hear the keys",
        null,
        null,
      ]);
      expect(view.sub).toMatch(/recording/);
    }
    expect([maySecure(call), mayRelease(call)]).toEqual([false, false]);
    const fault = callView({ way: "conference", line: "fault" });
    expect([maySecure(fault), band(desk("fault", null, { calls: { c1: fault } })).button]).toEqual([
      false,
      null,
    ]);
  });

  it("of_a_conference_promises_nothing_to_the_caller", () => {
    const call = callView({ way: "conference", line: "conference", masking: "none" });
    const said = [script(call, null, GBP(4200))];
    for (const live of [0, 1, 2]) {
      const parts = [0, 1, 2].map((at) => (at === live ? { status: "live" as const } : {}));
      said.push(script(call, paymentView({ fields: fields(...parts) }), null));
    }
    expect(said.every((words) => words !== null)).toBe(true);
    expect(said.join(" ")).not.toMatch(/won’t hear|can’t hear|secure/i);
    expect(said[0]).toMatch(/may hear/);
    const told = (line: LineState) =>
      announce(
        { call: callView({ way: "conference", line: "securing" }), payment: null, stale: false, ended: null },
        { call: callView({ way: "conference", line }), payment: null, stale: false, ended: null },
      ).loud;
    expect(told("conference")).toContain("you can hear the keys");
  });

  it("tells_that_the_payment_service_is_down", () => {
    expect(band(desk("open", null, { door: "down" })).banner?.title).toContain("can’t be reached");
  });
});

describe("the fields", () => {
  const visa = { brand: "visa", pan_length_expected: 16 } as const;

  it("fill_with_dots_in_the_groups_of_the_brand", () => {
    const amex = paymentView({
      brand: "amex",
      pan_length_expected: 15,
      fields: fields({ status: "live", digits: 5 }),
    });
    const dots = fieldRows(amex)[0]?.dots ?? [];
    expect(dots.length).toBe(15);
    expect(dots.filter((dot) => dot.on).length).toBe(5);
    expect(dots.flatMap((dot, index) => (dot.gap ? [index + 1] : []))).toEqual([4, 10]);
  });

  it("count_in_words_and_do_not_promise_a_length_before_the_brand_is_known", () => {
    const words = (digits: number, part = {}) =>
      fieldRows(paymentView({ ...part, fields: fields({ status: "live", digits }) }))[0]?.count?.words;
    expect(words(0)).toBe("Waiting for the first key");
    expect(words(1)).toBe("1 digit");
    expect(words(11, visa)).toBe("11 of 16");
  });

  it("show_the_last_four_only_once_accepted", () => {
    const ok = paymentView({ ...visa, last4: "4242", fields: fields({ status: "ok", digits: 16 }) });
    expect(fieldRows(ok)[0]?.value).toBe("•••• •••• •••• 4242");
    const amex = { brand: "amex", pan_length_expected: 15, last4: "0005" } as const;
    expect(fieldRows({ ...ok, ...amex })[0]?.value).toBe("•••• •••••• •0005");
  });

  it("say_in_plain_words_why_they_were_refused", () => {
    const bad = paymentView({ fields: fields({ status: "bad", digits: 16, reason: "check_digit" }) });
    const row = fieldRows(bad)[0];
    expect(row?.message?.title).toBe("That number has a slip in it");
    expect(row?.message?.rest).toContain("Nothing was sent to the bank");
    expect(row?.deed).toEqual({ deed: "request", label: "Ask again now", primary: true });
    expect(fieldToRepeat(bad)?.field).toBe("pan");
  });

  it("that_were_kept_too_long_are_said_to_be_erased", () => {
    const slow = (status: "live" | "bad") =>
      fieldRows(paymentView({ fields: fields({ status, digits: 6, reason: "too_slow" }) }))[0]?.message?.rest;
    expect(slow("live")).toContain("is kept");
    expect(slow("bad")).toContain("has been erased");
  });

  it("offer_nothing_while_the_bank_is_asked", () => {
    const ok = fields({ status: "ok" }, { status: "ok" }, { status: "ok" });
    const rows = fieldRows(paymentView({ state: "authorizing", fields: ok }));
    expect(rows.every((row) => row.deed === null)).toBe(true);
  });

  it("left_over_from_a_canceled_payment_lose_nothing", () => {
    const live = fields({ status: "live", digits: 7 });
    expect(keyed(paymentView({ fields: live }))).toBe(true);
    expect(keyed(paymentView({ state: "cancelled", fields: live }))).toBe(false);
  });
});

describe("taking", () => {
  it("is_open_when_ready_and_closed_while_the_outcome_is_not_known", () => {
    const may = (state: PaymentState) => mayTake(paymentView({ state }));
    expect(["ready", "not_sent"].every((state) => may(state as PaymentState))).toBe(true);
    const closed = ["waiting", "capturing", "authorizing", "approved", "declined", "unknown", "cancelled"];
    expect(closed.some((state) => may(state as PaymentState))).toBe(false);
    expect(mayCancel(paymentView({ state: "unknown" }))).toBe(false);
  });

  it("gives_the_reason_when_it_is_off", () => {
    expect(takeReason(callView({ line: "secured" }), paymentView())).toBe("Opens when all three are ticked.");
    expect(takeReason(callView(), paymentView({ state: "waiting" }))).toBe("Secure the line first.");
    expect(takeReason(callView({ line: "secured" }), paymentView({ state: "ready" }))).toBeNull();
  });
});

describe("the result", () => {
  const declined = (kind: string) =>
    outcomeView(
      paymentView({
        state: "declined",
        attempts: 1,
        outcome: { outcome: "declined", class: kind as "other", network_code: "51" },
      }),
    );

  it("of_an_approval_shows_code_and_masked_card_and_what_was_really_taken", () => {
    const card = { brand: "visa", last4: "4242", expiry: null } as const;
    const outcome = {
      outcome: "approved",
      auth_code: "074213",
      gateway_ref: "r",
      amount: GBP(10_000),
    } as const;
    const view = outcomeView(paymentView({ state: "approved", card, outcome }));
    expect(view?.title).toBe("Approved for £100.00 of £186.40");
    expect(view?.facts).toContainEqual({ label: "Authorization code", value: "074213" });
    expect(view?.facts).toContainEqual({ label: "Card", value: "•••• 4242" });
  });

  it("of_a_decline_keeps_the_reason_out_of_the_script", () => {
    const view = declined("insufficient_funds");
    expect(view?.title).toContain("not enough money");
    expect(view?.sub).toContain("nothing was taken");
    expect(view?.script).not.toContain("money");
    expect(view?.offers).toContain("other_card");
  });

  it("of_a_wrong_code_asks_for_the_code_alone_only_while_the_card_is_held", () => {
    const outcome = { outcome: "declined", class: "wrong_cvv", network_code: null } as const;
    const held = fields({ status: "ok" }, { status: "ok" }, { status: "bad", reason: "bank_refused" });
    expect(outcomeView(paymentView({ state: "declined", outcome, fields: held }))?.offers[0]).toBe("ask_cvv");
    expect(outcomeView(paymentView({ state: "declined", outcome }))?.offers).not.toContain("ask_cvv");
  });

  it("of_a_decline_of_an_unheard_of_class_is_still_a_decline", () => {
    expect(declined("from_the_future")?.title).toBe("Declined");
  });

  it("that_is_not_known_offers_no_way_to_take_it_again", () => {
    const view = outcomeView(paymentView({ state: "unknown" }));
    expect(view?.title).toContain("do not take the payment again");
    expect(view?.offers).toEqual([]);
    expect(view?.look).toBe("unk");
  });

  it("of_a_hang_up_at_the_bank_says_that_it_is_being_confirmed", () => {
    const ended = { call: callView(), end: "caller_hung_up", payment: "p1", sure: true } as const;
    expect(endedView(ended, paymentView({ state: "authorizing" })).tone).toBe("warn");
    expect(endedView(ended, paymentView({ state: "cancelled" })).rest).toContain("Nothing was sent");
  });

  it("takes_the_place_of_the_fields_until_it_is_put_away", () => {
    const payment = paymentView({ state: "approved" });
    expect(panelOf(callView(), payment, null)).toBe("outcome");
    expect(panelOf(callView(), payment, "p1")).toBe("order");
    expect(panelOf(callView({ state: "ringing" }), null, null)).toBe("ringing");
  });
});

describe("what a screen reader is told", () => {
  const moment = (part: Partial<Moment>): Moment => ({
    call: null,
    payment: null,
    stale: false,
    ended: null,
    ...part,
  });

  it("money_and_the_line_loudly", () => {
    const before = moment({
      call: callView({ line: "securing" }),
      payment: paymentView({ state: "authorizing" }),
    });
    expect(announce(before, { ...before, call: callView({ line: "secured" }) }).loud).toContain(
      "Line secured",
    );
    const approved = announce(before, { ...before, payment: paymentView({ state: "approved" }) });
    expect(approved.loud).toBe("Approved, 186 pounds 40.");
  });

  it("the_count_quietly_but_never_that_of_the_expiry", () => {
    const at = (...parts: Parameters<typeof fields>) =>
      moment({ payment: paymentView({ brand: "visa", pan_length_expected: 16, fields: fields(...parts) }) });
    const live = { status: "live" } as const;
    expect(announce(at(live), at({ ...live, digits: 8 })).quiet).toBe("Card number, 8 of 16");
    expect(announce(at({}, live), at({}, { ...live, digits: 2 })).quiet).toBeNull();
  });

  it("nothing_of_a_payment_that_was_already_over_when_it_came_on_the_screen", () => {
    expect(announce(moment({}), moment({ payment: paymentView({ state: "approved" }) })).loud).toBeNull();
  });
});

describe("words around it", () => {
  it("the_script_asks_for_consent_while_the_caller_can_still_be_heard", () => {
    expect(script(callView(), null, GBP(18_640))).toContain("186 pounds 40");
    expect(script(callView({ line: "secured" }), paymentView({ state: "ready" }), null)).not.toContain("?");
  });

  it("problems_are_told_in_plain_words", () => {
    const failed = (code: string) =>
      ({ ok: false, problem: { status: 409, code }, retryAfter: 1_790 }) as const;
    expect(problemWords(failed("card_gone"))).toContain("Nothing was sent to the bank");
    expect(problemWords({ ok: false, problem: null, retryAfter: null })).toContain("counts once");
    expect(signInWords(failed("bad_credentials"))).toContain("don’t fit together");
    expect(signInWords(failed("locked"))).toContain("30 minutes");
  });

  it("a_deed_that_may_have_been_done_is_asked_after_not_done_again", () => {
    const failed = (status: number, code: string) =>
      ({ ok: false, problem: { status, code }, retryAfter: null }) as const;
    expect(surelyNotDone(failed(409, "fields_missing"))).toBe(true);
    expect(surelyNotDone(failed(503, "door_down"))).toBe(true);
    expect(surelyNotDone(failed(504, "door_timeout"))).toBe(false);
    expect(surelyNotDone(failed(409, "idempotency_busy"))).toBe(false);
    expect(surelyNotDone({ ok: false, problem: null, retryAfter: null })).toBe(false);
  });

  it("the_timeline_draws_a_wall_along_the_secured_stretch", () => {
    const keys = ["agent_answered", "line_secured", "field_accepted", "line_open", "a_new_word"];
    const detail = "Card number: Visa 4242";
    const rows = timeline(keys.map((text_key) => ({ at: "2026-11-22T10:43:00Z", text_key, detail })));
    expect(rows.map((row) => row.walled)).toEqual([false, true, true, false, false]);
    expect(rows[2]).toMatchObject({ text: "Card number accepted", detail: "Visa 4242" });
    expect(rows[4]?.text).toBe("A new word");
  });
});

describe("a card that is to be kept", () => {
  const outcome = { outcome: "approved", auth_code: "", gateway_ref: "" } as const;
  const of = (minor: number, kept: "kept" | "not_kept") => {
    const amount = { minor, currency: "GBP" };
    return paymentView({ state: "approved", amount, outcome: { ...outcome, amount }, kept });
  };

  it("is_told_of_and_that_the_payment_stands_where_it_is_not_kept", () => {
    expect(outcomeView(of(100, "kept"))).toMatchObject({
      look: "ok",
      after: "The card is kept for later payments.",
    });
    const lost = outcomeView(of(100, "not_kept"));
    expect(lost?.look).toBe("ok");
    expect(lost?.after).toContain("NOT kept. The payment stands.");
    expect(outcomeSpoken(of(100, "not_kept"))).toBe("Approved, 1 pound. The card was not kept.");
    expect(outcomeView(paymentView({ state: "approved" }))?.after).toBeNull();
  });

  it("is_never_said_to_have_been_paid_where_it_is_only_kept", () => {
    expect(outcomeView(of(0, "kept"))).toMatchObject({
      look: "ok",
      title: "The card is kept. Nothing was taken.",
    });
    expect(outcomeView(of(0, "not_kept"))?.look).toBe("bad");
    expect(outcomeSpoken(of(0, "kept"))).toBe("The card is kept. Nothing was taken.");
  });
});

describe("shortcuts", () => {
  const press = (code: string, part = {}) => ({
    code,
    key: "",
    altKey: true,
    shiftKey: false,
    ctrlKey: false,
    metaKey: false,
    repeat: false,
    ...part,
  });

  it("go_by_the_place_of_the_key_not_by_what_it_types", () => {
    expect(shortcut(press("KeyS", { key: "ß" }), true)).toEqual({ do: "secure" });
    expect(shortcut(press("Digit2"), false)).toEqual({ do: "ask", index: 1 });
    expect(shortcut(press("KeyL", { shiftKey: true }), false)).toEqual({ do: "stop" });
  });

  it("leave_altgr_a_held_key_and_typing_alone", () => {
    expect(shortcut(press("KeyS", { ctrlKey: true }), false)).toBeNull();
    expect(shortcut(press("Enter", { repeat: true }), false)).toBeNull();
    expect(shortcut(press("Slash", { altKey: false, key: "?" }), true)).toBeNull();
    expect(shortcut(press("Slash", { altKey: false, key: "?" }), false)).toEqual({ do: "help" });
  });
});
