import { describe, expect, it } from "vitest";
import { KEYS, pair } from "./sound.ts";
import { FIRST, type Happening, next, type State, wayOfKeys } from "./state.ts";
import { lasted, words } from "./words.ts";

const having = (...happenings: Happening[]): State => happenings.reduce(next, FIRST);
const READY: Happening = { type: "link", link: "ready" };
const ANSWERED: Happening = { type: "answered", nowMs: 0 };

describe("the customer's telephone", () => {
  it("says what it waits for, from connecting to the end", () => {
    const told = (...happenings: Happening[]) => words(having(READY, ...happenings)).title;
    expect(words(FIRST).title).toBe("Connecting…");
    expect(told()).toBe("Ready");
    expect(told({ type: "dialed" })).toBe("Calling…");
    expect(told({ type: "dialed" }, { type: "rings" })).toBe("Ringing…");
    expect(told({ type: "dialed" }, ANSWERED)).toBe("Connected");
    expect(told({ type: "dialed" }, ANSWERED, { type: "over", why: "other" })).toBe(
      "Ended by the other side",
    );
  });

  it("tells a refused microphone from one that is not there, and never hides that the demo is gone", () => {
    expect(words(having(READY, { type: "microphone", microphone: "denied" })).title).toBe(
      "Microphone not allowed",
    );
    expect(words(having(READY, { type: "microphone", microphone: "missing" })).title).toBe(
      "No microphone found",
    );
    const gone = having(READY, { type: "microphone", microphone: "denied" }, { type: "link", link: "lost" });
    expect(words(gone).at).toBe("not-connected");
  });

  it("does not say that a person is heard who is not", () => {
    const silent = having(READY, { type: "microphone", microphone: "off" }, { type: "dialed" }, ANSWERED);
    expect(words(silent).hint).toContain("hears silence");
    const muted = having({ type: "microphone", microphone: "on" }, { type: "dialed" }, ANSWERED, {
      type: "mute",
      muted: true,
    });
    expect(words(muted).hint).toContain("hears silence");
    expect(words(next(muted, { type: "mute", muted: false })).hint).toContain("Speak");
  });

  it("keeps the first reason of an end, and begins the next call anew", () => {
    const ended = having(
      { type: "dialed" },
      ANSWERED,
      { type: "key" },
      { type: "over", why: "you" },
      { type: "over", why: "failed" },
    );
    expect(ended.talk).toEqual({ at: "ended", why: "you" });
    expect(ended.keys).toBe(1);
    expect(next(ended, { type: "dialed" }).keys).toBe(0);
    expect(next(ended, { type: "key" }).keys).toBe(1);
  });

  it("sends tones where the other side takes no events, whatever was chosen", () => {
    expect(wayOfKeys(having({ type: "dialed" }, ANSWERED))).toBe("events");
    expect(wayOfKeys(having({ type: "dialed" }, ANSWERED, { type: "events", events: false }))).toBe("tones");
    expect(wayOfKeys(having({ type: "way", way: "tones" }, { type: "dialed" }, ANSWERED))).toBe("tones");
  });

  it("has the pairs of tones of Q.23", () => {
    expect([...KEYS].map((key) => pair(key))).toEqual([
      [697, 1209],
      [697, 1336],
      [697, 1477],
      [770, 1209],
      [770, 1336],
      [770, 1477],
      [852, 1209],
      [852, 1336],
      [852, 1477],
      [941, 1209],
      [941, 1336],
      [941, 1477],
    ]);
    expect([pair("A"), pair(""), pair("12")]).toEqual([null, null, null]);
  });

  it("counts minutes", () => {
    expect([lasted(-5), lasted(9_999), lasted(61_000)]).toEqual(["0:00", "0:09", "1:01"]);
  });
});
