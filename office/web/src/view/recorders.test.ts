import { describe, expect, test } from "vitest";
import { callView, fields, paymentView } from "../samples.ts";
import type { CallView, Recorders } from "../wire.ts";
import { announce } from "./announce.ts";
import { mayPauseRecorders, takeReason } from "./deeds.ts";
import { recorderNote } from "./recorders.ts";
import { script } from "./script.ts";
import { timeline } from "./timeline.ts";

const recorders = (part: Partial<Recorders>): Recorders => ({
  rule: "required",
  state: "asked",
  round: 1,
  trouble: null,
  holds_payment: true,
  ...part,
});

const secured = (part: Partial<Recorders>): CallView =>
  callView({ line: "secured", recorders: recorders(part) });

const REFUSED = { state: "not_paused", trouble: "refused" } as const;

describe("recorders elsewhere", () => {
  test("nothing is said of them where there are none, the line is open, or they have paused", () => {
    expect(recorderNote(callView({ line: "secured" }))).toBeNull();
    expect(recorderNote(callView({ recorders: recorders(REFUSED) }))).toBeNull();
    expect(recorderNote(secured({ state: "paused", holds_payment: false }))).toBeNull();
  });

  test("a required one that has not paused stops the keying, one of best effort does not", () => {
    const required = recorderNote(secured(REFUSED));
    expect(required?.title).toBe("Your call recorder has not paused: it has refused.");
    expect(required?.rest).toContain("should not key anything");
    const effort = recorderNote(secured({ ...REFUSED, rule: "best_effort", holds_payment: false }));
    expect(effort?.rest).toContain("The payment goes on");
    expect([required?.again, effort?.again]).toEqual([true, true]);
  });

  test("the caller is asked for nothing while keys are not taken", () => {
    const payment = paymentView({ state: "waiting" });
    for (const call of [secured({}), secured(REFUSED)]) {
      expect(script(call, payment, null)).toContain("Please don’t key anything yet");
      expect(takeReason(call, payment)).toBe("The recorder must pause first.");
    }
    const paused = secured({ state: "paused", holds_payment: false });
    expect(
      script(paused, paymentView({ state: "capturing", fields: fields({ status: "live" }) }), null),
    ).toContain("Please key");
  });

  test("only one that has not paused is asked again", () => {
    expect(mayPauseRecorders(secured(REFUSED))).toBe(true);
    expect(mayPauseRecorders(secured({}))).toBe(false);
    expect(mayPauseRecorders(callView({ recorders: recorders(REFUSED) }))).toBe(false);
  });

  test("a line is not called secured aloud before the recorder has paused", () => {
    const moment = (call: CallView) => ({ call, payment: null, stale: false, ended: null });
    const spoken = (before: CallView, after: CallView) => announce(moment(before), moment(after)).loud;
    const securing = callView({ line: "securing", recorders: recorders({}) });
    expect(spoken(securing, secured({}))).toBe("Your call recorder is being paused.");
    expect(spoken(secured({}), secured(REFUSED))).toContain("has not paused");
    expect(spoken(secured(REFUSED), secured(REFUSED))).toBeNull();
    expect(spoken(secured({}), secured({ state: "paused", holds_payment: false }))).toContain("Line secured");
  });

  test("the call’s story tells why", () => {
    const [row] = timeline([
      { at: "2026-11-26T10:00:00Z", text_key: "recorders_not_paused", detail: "timed_out" },
    ]);
    expect(row?.detail).toBe("it has not answered in time");
  });
});
