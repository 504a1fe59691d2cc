import { describe, expect, it } from "vitest";
import { cardLike } from "./cardlike.ts";
import { check, LOOKS_LIKE_CARD, newDraft, toMinor, withoutCards } from "./draft.ts";
import { currencyCodes, decimalsOf, say, write } from "./money.ts";
import { problemWords } from "./problems.ts";
import { isAccepted, owed, surchargeWords, withSurcharge } from "./surcharge.ts";

const NEW_DRAFT = newDraft("GBP");

describe("amounts", () => {
  it("follow_the_decimals_of_the_currency", () => {
    expect(toMinor("186.4", "GBP")).toBe(18_640);
    expect(toMinor("£1,024.35", "GBP")).toBe(102_435);
    expect(toMinor("4205", "JPY")).toBe(4_205);
    expect(toMinor("4.205", "BHD")).toBe(4_205);
  });

  it("that_are_not_certain_are_asked_again_in_plain_words", () => {
    for (const text of ["", "0", "0.00", "1.234", "12,50", "1,2345", "ten", "-5", "1e3", "100000000000"]) {
      expect(toMinor(text, "GBP"), text).toBeTypeOf("string");
    }
    expect(toMinor("1.5", "JPY")).toBe("JPY has no decimals.");
  });

  it("are_in_minor_units_as_the_door_counts_them_not_the_browser", () => {
    expect(toMinor("1000", "HUF")).toBe(100_000);
    expect(["HUF", "COP", "ISK", "IQD", "CLF"].map(decimalsOf)).toEqual([2, 2, 0, 3, 4]);
  });

  it("are_written_and_said_the_same_way", () => {
    expect(write({ minor: 18_640, currency: "GBP" })).toBe("£186.40");
    expect(say({ minor: 18_640, currency: "GBP" })).toBe("186 pounds 40");
    expect(say({ minor: 100, currency: "GBP" })).toBe("1 pound");
    expect(say({ minor: 45, currency: "GBP" })).toBe("45 pence");
    expect(say({ minor: 4_205, currency: "JPY" })).toBe("4205 yen");
  });
});

describe("card numbers in the wrong place", () => {
  it("are_seen_however_they_are_written", () => {
    for (const text of [
      "4242 4242 4242 4242",
      "94242-4242-4242-4242",
      "378282246310005",
      "6771798021000008",
    ]) {
      expect(cardLike(text), text).toBe(true);
    }
  });

  it("are_not_seen_in_other_numbers", () => {
    for (const text of ["INV-88120 and INV-88764", "020 7946 0958", "4242 4242 4242 4241", "NW-204417"]) {
      expect(cardLike(text), text).toBe(false);
    }
  });

  it("are_refused_in_account_and_reference", () => {
    const draft = { ...NEW_DRAFT, amount: "1", account: "4242424242424242", reference: "ok" };
    expect(check(draft)).toEqual({ errors: { account: LOOKS_LIKE_CARD } });
  });
});

describe("an amount that is a card number", () => {
  it("is_refused_and_cleared_however_it_is_written", () => {
    for (const amount of [
      "4242424242424242",
      "4242 4242 4242 4242",
      "£4242,4242,4242,4241",
      "123456789012",
    ]) {
      const checked = check({ ...NEW_DRAFT, amount });
      expect(checked, amount).toEqual({ errors: { amount: LOOKS_LIKE_CARD } });
      if ("errors" in checked) expect(withoutCards({ ...NEW_DRAFT, amount }, checked.errors).amount).toBe("");
    }
    expect(check({ ...NEW_DRAFT, amount: "£99,999,999.99" })).toHaveProperty("order");
  });
});

describe("the currency", () => {
  it("of_a_new_order_is_the_one_that_the_console_is_configured_for", () => {
    const checked = check({ ...newDraft("CHF"), amount: "42" });
    expect(checked).toEqual({ order: { amount: { minor: 4_200, currency: "CHF" } } });
  });

  it("is_offered_once_even_if_the_desk_has_no_words_for_it", () => {
    expect(currencyCodes("HUF", "HUF").slice(0, 2)).toEqual(["HUF", "GBP"]);
    expect(currencyCodes("CHF", "CHF").filter((code) => code === "CHF")).toEqual(["CHF"]);
  });
});

describe("the order", () => {
  it("leaves_out_what_is_empty", () => {
    expect(check({ ...NEW_DRAFT, amount: "42", account: " NW-204417 " })).toEqual({
      order: { amount: { minor: 4_200, currency: "GBP" }, account: "NW-204417" },
    });
  });

  it("is_refused_with_text_that_is_too_long_or_can_not_be_printed", () => {
    expect(check({ ...NEW_DRAFT, amount: "42", reference: "x".repeat(65) })).toHaveProperty(
      "errors.reference",
    );
    expect(check({ ...NEW_DRAFT, amount: "42", reference: "a\u0007" })).toHaveProperty("errors.reference");
  });
});

describe("a surcharge", () => {
  const pounds = (minor: number) => ({ minor, currency: "GBP" });
  const quote = { amount: pounds(4_200), surcharge: pounds(63), total: pounds(4_263) };
  const order = { amount: pounds(4_200), account: "NW-204417" };

  it("is_told_and_sent_only_when_the_caller_has_accepted_it", () => {
    expect(surchargeWords(quote)).toBe("A surcharge of £0.63 is added: £42.63 in all. Tell the caller.");
    expect(withSurcharge(order, quote, null)).toBeNull();
    expect(withSurcharge(order, quote, pounds(4_263))).toEqual({ ...order, surcharge: pounds(63) });
  });

  it("that_was_accepted_for_another_amount_is_not_accepted", () => {
    expect(isAccepted(quote, pounds(4_264))).toBe(false);
    expect(isAccepted(quote, { minor: 4_263, currency: "EUR" })).toBe(false);
    expect(owed(quote, pounds(4_201)), "an old quote").toBeNull();
    expect(owed(quote, { minor: 4_200, currency: "EUR" })).toBeNull();
  });

  it("of_nothing_or_not_known_leaves_the_order_as_it_is", () => {
    const none = { ...quote, surcharge: pounds(0), total: pounds(4_200) };
    for (const told of [none, null]) expect(withSurcharge(order, told, null)).toEqual(order);
    const problem = { status: 409, code: "surcharge_not_accepted", detail: "as a program reads it" };
    expect(problemWords({ ok: false, problem, retryAfter: null })).toContain("Tell the caller");
  });
});

describe("what becomes of the card", () => {
  it("is_said_with_the_order_and_a_card_that_is_only_kept_costs_nothing", () => {
    expect(check({ ...NEW_DRAFT, amount: "5" })).toEqual({
      order: { amount: { minor: 500, currency: "GBP" } },
    });
    expect(check({ ...NEW_DRAFT, amount: "5", keep: "token" })).toMatchObject({ order: { store: "token" } });
    const only = check({ ...NEW_DRAFT, amount: "nothing", keep: "only" });
    expect(only).toEqual({ order: { amount: { minor: 0, currency: "GBP" }, store: "only" } });
  });
});
