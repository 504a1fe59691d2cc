import { describe, expect, it } from "vitest";
import type { AgreementDetail, CalendarRow, Terms } from "../wire.ts";
import {
  amendDraft,
  amended,
  checkMove,
  checkRepeat,
  inAMonth,
  isMissed,
  mayMove,
  maySkip,
  newRepeat,
  previewWords,
  rhythm,
  rowLook,
  rowNote,
} from "./repeat.ts";

const FIRST = { minor: 4_200, currency: "GBP" };
const DRAFT = { ...newRepeat(new Date(2027, 0, 31)), count: "3" };

describe("what is typed of further payments", () => {
  it("begins_a_month_from_now_as_one_counts_it_on_the_fingers", () => {
    expect(inAMonth(new Date(2027, 0, 31))).toBe("2027-02-28");
    expect(inAMonth(new Date(2027, 10, 30))).toBe("2027-12-30");
    expect(inAMonth(new Date(2027, 11, 15))).toBe("2028-01-15");
  });

  it("takes_the_amount_of_the_first_unless_another_is_typed", () => {
    const terms = { start: "2027-02-28", unit: "months", every: 1, count: 3 };
    expect(checkRepeat(DRAFT, FIRST, "GBP")).toEqual({ terms: { ...terms, amount: FIRST } });
    const other = { ...DRAFT, amount: "15", count: "" };
    const amount = { minor: 1_500, currency: "GBP" };
    expect(checkRepeat(other, FIRST, "GBP")).toEqual({
      terms: { start: "2027-02-28", unit: "months", every: 1, amount },
    });
  });

  it("is_asked_again_where_it_is_wrong", () => {
    for (const [field, text] of [
      ["every", "0"],
      ["every", "two"],
      ["count", "0"],
      ["count", "12001"],
      ["start", "tomorrow"],
      ["amount", "-1"],
    ] as const) {
      expect(checkRepeat({ ...DRAFT, [field]: text }, FIRST, "GBP"), text).toMatchObject({ field });
    }
    expect(checkRepeat(DRAFT, null, "GBP")).toMatchObject({ field: "amount" });
  });
});

describe("what is said of further payments", () => {
  const day = (number: number) => `2027-0${number + 1}-28`;
  const plan = (many: number) =>
    Array.from({ length: many }, (_, place) => {
      const due = day(place + 1);
      return { number: place + 1, day: due, due, amount: FIRST };
    });

  it("names_every_payment_where_there_are_few_and_the_last_where_there_are_many", () => {
    const few = {
      payments: plan(2),
      count: 2,
      total: { ...FIRST, minor: 8_400 },
      last: day(2),
      time_zone: "UTC",
    };
    expect(previewWords(few)).toBe(
      "After today: £42.00 on 28 February 2027, £42.00 on 28 March 2027. That is 2 payments, £84.00 in all.",
    );
    const many = { ...few, payments: plan(6), count: 6, total: { ...FIRST, minor: 25_200 }, last: day(6) };
    expect(previewWords(many)).toContain(
      "and so on; the last one on 28 July 2027. That is 6 payments, £252.00",
    );
    const endless = { ...many, count: null, total: null, last: null };
    expect(previewWords(endless)).toContain("and so on until you ask us to stop.");
  });

  it("tells_why_one_was_not_taken_and_never_to_take_it_again_while_nobody_knows", () => {
    const row: CalendarRow = {
      number: 1,
      due: day(1),
      amount: FIRST,
      state: "waiting",
      tries: 1,
      next_try_at: "2027-03-03T09:00:00Z",
      trouble: "declined",
      payment: null,
      overdue: false,
      given_back: null,
      disputed: false,
    };
    expect(rowNote(row)).toBe("The bank said no. Tried again on 3 March 2027.");
    expect(rowNote({ ...row, state: "sent", trouble: "unknown", next_try_at: null })).toContain(
      "Do not take it again",
    );
    expect([rhythm({ unit: "weeks", every: 2 }), rhythm({ unit: "months", every: 1 })]).toEqual([
      "every 2 weeks",
      "every month",
    ]);
  });
});

describe("a payment that is paid", () => {
  it("shows_what_has_become_of_its_money_since", () => {
    const words = (given: number, disputed = false) => {
      const given_back = given === 0 ? null : { minor: given, currency: "GBP" };
      return rowLook({ ...ROW, state: "paid", given_back, disputed }).words;
    };
    expect([words(0), words(500), words(1_500)]).toEqual(["Paid", "Partly refunded (£5.00)", "Refunded"]);
    expect([words(0, true), words(1_500, true)]).toEqual(["Paid, disputed", "Refunded, disputed"]);
    expect(rowLook(ROW).words).toBe("To come");
  });
});

const ROW: CalendarRow = {
  number: 3,
  due: "2027-03-28",
  amount: { minor: 1_500, currency: "GBP" },
  state: "planned",
  tries: 0,
  next_try_at: null,
  trouble: null,
  payment: null,
  overdue: false,
  given_back: null,
  disputed: false,
};

describe("what may be changed of payments that repeat", () => {
  it("is_what_nobody_may_have_begun", () => {
    const waiting: CalendarRow = { ...ROW, state: "waiting" };
    expect([ROW, waiting].map(mayMove)).toEqual([true, true]);
    expect(mayMove({ ...waiting, tries: 1 })).toBe(false);
    expect(maySkip({ ...waiting, tries: 1 })).toBe(true);
    for (const state of ["sent", "paid", "failed", "skip", "skipped"] as const) {
      expect([mayMove({ ...ROW, state }), maySkip({ ...ROW, state })], state).toEqual([false, false]);
    }
    expect(isMissed({ ...ROW, state: "failed", trouble: "late" })).toBe(true);
    expect(isMissed({ ...ROW, state: "failed", trouble: "declined" })).toBe(false);
  });

  it("begins_with_the_terms_as_they_are_for_what_is_left_and_keeps_what_is_not_on_the_form", () => {
    const terms: Terms = {
      start: "2027-01-28",
      unit: "months",
      every: 1,
      amount: ROW.amount,
      count: 6,
      until: null,
      first_amount: { minor: 900, currency: "GBP" },
      last_amount: { minor: 1_600, currency: "GBP" },
      roll: "following",
      holidays: ["2027-12-25"],
    };
    const paid: CalendarRow = { ...ROW, number: 2, state: "paid" };
    const agreement = { terms, next: ROW, calendar: [paid, ROW, { ...ROW, number: 4 }] } as AgreementDetail;
    const draft = amendDraft(agreement, new Date(2027, 2, 1));
    expect(draft).toMatchObject({
      start: "2027-03-28",
      every: "1",
      unit: "months",
      count: "2",
      amount: "15.00",
    });
    const checked = checkRepeat({ ...draft, amount: "9" }, null, "GBP");
    if (!("terms" in checked)) throw new Error("refused");
    expect(amended(terms, checked.terms)).toEqual({
      start: "2027-03-28",
      unit: "months",
      every: 1,
      count: 2,
      amount: { minor: 900, currency: "GBP" },
      last_amount: terms.last_amount,
      roll: "following",
      holidays: ["2027-12-25"],
    });
    const endless = checkRepeat({ ...draft, count: "" }, null, "GBP");
    if (!("terms" in endless)) throw new Error("refused");
    expect(amended(terms, endless.terms)).not.toHaveProperty("last_amount");
  });

  it("says_only_what_is_another", () => {
    expect(checkMove(ROW, { due: ROW.due, amount: "15.00" })).toBeNull();
    expect(checkMove(ROW, { due: "2027-03-30", amount: "15" })).toEqual({ number: 3, due: "2027-03-30" });
    const amount = { minor: 2_000, currency: "GBP" };
    expect(checkMove(ROW, { due: ROW.due, amount: "20" })).toEqual({ number: 3, amount });
    expect(checkMove(ROW, { due: "", amount: "20" })).toMatchObject({ field: "due" });
    expect(checkMove(ROW, { due: ROW.due, amount: "0" })).toMatchObject({ field: "amount" });
  });
});
