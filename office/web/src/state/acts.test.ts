import { describe, expect, it } from "vitest";
import { callView, fields, paymentView } from "../samples.ts";
import type { Panel } from "../view/deeds.ts";
import type { CallView, PaymentView } from "../wire.ts";
import { acts, onOffer, type Scene } from "./acts.ts";

type Part = {
  call?: Partial<CallView>;
  payment?: PaymentView | null;
  panel?: Panel;
  touched?: boolean;
  ok?: boolean;
};

/** A desk whose deeds are only written down. */
function stage({ call = {}, payment = null, panel = "payment", touched = false, ok = true }: Part) {
  const done: string[] = [];
  const note = (deed: string, result = true) => {
    done.push(deed);
    return Promise.resolve(result);
  };
  const scene: Scene = {
    call: callView(call),
    payment,
    panel,
    line: null,
    deeds: {
      setLine: (_, deed) => note(deed),
      pauseRecorders: () => note("recorders"),
      start: () => note("start", ok),
      setField: (_, field, deed) => note(`${deed} ${field}`),
      decide: (_, deed) => note(deed),
    },
    order: {
      touched,
      check: () => (touched ? { amount: { minor: 100, currency: "GBP" } } : null),
      clear: () => done.push("clear"),
      fillFrom: () => done.push("fill"),
    },
    ask: (question) => done.push(`ask ${question}`),
    putAway: (id) => done.push(`put away ${id}`),
    help: () => done.push("help"),
    read: (words) => done.push(`read ${words}`),
  };
  return { all: acts(scene), done };
}

const live = paymentView({ fields: fields({ status: "live", digits: 3 }) });
const secured = { line: "secured" } as const;

describe("a press", () => {
  it("to_secure_starts_the_typed_payment_first_and_stops_if_that_is_refused", async () => {
    const good = stage({ panel: "order", touched: true });
    await good.all.secure();
    expect(good.done).toEqual(["start", "secure"]);
    const bad = stage({ panel: "order", touched: true, ok: false });
    await bad.all.secure();
    expect(bad.done).toEqual(["start"]);
  });

  it("to_secure_works_before_anything_is_typed", async () => {
    const { all, done } = stage({ panel: "order" });
    await all.secure();
    expect(done).toEqual(["secure"]);
  });

  it("to_release_or_cancel_asks_first_while_the_caller_is_keying", async () => {
    const { all, done } = stage({ call: secured, payment: live });
    await all.release();
    await all.cancel();
    await all.release(true);
    expect(done).toEqual(["ask release", "ask cancel", "release"]);
  });

  it("to_stop_discards_and_releases_without_a_question", async () => {
    const { all, done } = stage({ call: secured, payment: live });
    await all.stop();
    expect(done).toEqual(["cancel", "release"]);
  });

  it("to_take_does_nothing_while_the_outcome_is_not_known", async () => {
    const { all, done } = stage({ call: secured, payment: paymentView({ state: "unknown" }) });
    await all.take();
    await all.otherCard();
    await all.cancel();
    expect(done).toEqual([]);
  });

  it("to_repeat_clears_the_live_field_and_asks_a_refused_one_again", async () => {
    const bad = paymentView({ fields: fields({ status: "ok" }, { status: "bad", reason: "month" }) });
    const refused = stage({ call: secured, payment: bad });
    await refused.all.repeat();
    const keyed = stage({ call: secured, payment: live });
    await keyed.all.repeat();
    expect([refused.done, keyed.done]).toEqual([["request expiry"], ["reset pan"]]);
  });

  it("for_another_card_means_something_only_after_a_decline", async () => {
    const { all, done } = stage({ call: secured, payment: live });
    all.shortcut({ do: "other_card" });
    expect(done).toEqual([]);
    const after = stage({ call: secured, payment: paymentView({ state: "declined", fields: fields() }) });
    onOffer(after.all, "other_card");
    expect(after.done).toEqual(["request pan"]);
  });
});
