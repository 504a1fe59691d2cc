import { expect, test } from "vitest";
import { placeOf, placesOf } from "../view/places.ts";
import type { User } from "../wire.ts";
import type { Paid } from "./types.ts";
import { alarmWords, attemptWords, chipOf, left, signed } from "./words.ts";

const gbp = (minor: number) => ({ minor, currency: "GBP" });
const user = (rights: User["rights"]): User => ({
  ...{ id: 1, name: "Amy", email: "amy@example.com", role: "agent", extension: "1001" },
  rights: rights ?? [],
});
const paid = (more: Partial<Paid>) =>
  ({
    ...{ state: "approved", capture: "now", approved: gbp(100), captured: gbp(100), refunded: gbp(0) },
    ...{ review: null, needs_people: false, alarms_open: 0 },
    ...more,
  }) as Paid;

test("what people must look at is said before how a payment stands", () => {
  expect(chipOf(paid({})).words).toBe("Approved");
  expect(chipOf(paid({ refunded: gbp(1) })).words).toBe("Part refunded");
  expect(chipOf(paid({ alarms_open: 1, refunded: gbp(1) })).words).toBe("Alarm");
  expect(chipOf(paid({ alarms_open: 1, review: "wanted" })).words).toBe("To be looked at");
  expect(chipOf(paid({ state: "unknown", needs_people: true, review: "wanted" })).words).toBe(
    "Two people must settle",
  );
});

test("no more is offered than is left", () => {
  expect(left(paid({}))).toEqual({ capturable: 0, refundable: 100, voidable: true });
  expect(left(paid({ refunded: gbp(40) }))).toEqual({ capturable: 0, refundable: 60, voidable: false });
  const reserved = paid({ capture: "later", captured: gbp(30) });
  expect(left(reserved)).toEqual({ capturable: 70, refundable: 30, voidable: true });
  for (const state of ["unknown", "declined", "voided", "refunded"] as const) {
    expect(left(paid({ state }))).toEqual({ capturable: 0, refundable: 0, voidable: false });
  }
});

test("an attempt without an end is never said to have one", () => {
  expect(attemptWords({ kind: "refund", outcome: null }).words).toBe("Refund: at the gateway");
  expect(attemptWords({ kind: "authorize", outcome: { outcome: "unknown" } }).words).toBe(
    "Charge: being confirmed",
  );
});

test("amounts below zero and alarms that are new here are still said", () => {
  expect(signed(gbp(-1000))).toBe("−£10.00");
  expect(signed(gbp(1000))).toBe("£10.00");
  expect(alarmWords("something_new")).toBe("something new");
});

test("a page that a user may not open is the desk", () => {
  const words = (rights: User["rights"]) => placesOf(user(rights)).map((place) => place.words);
  expect(words(["charge"])).toEqual(["Desk", "Payments", "Repeats"]);
  expect(words(["finance"])).toEqual(["Desk", "Payments", "Repeats", "Day end", "By hand"]);
  expect(placeOf("/api-keys", user(["charge", "finance"]))).toBe("/");
  expect(placeOf("/api-keys", { ...user([]), role: "admin" })).toBe("/api-keys");
  expect(placeOf("/reconciliation", user(["charge"]))).toBe("/");
  expect(placeOf("/reconciliation", user(["finance"]))).toBe("/reconciliation");
  expect(placeOf("/elsewhere", user(["finance"]))).toBe("/");
});
