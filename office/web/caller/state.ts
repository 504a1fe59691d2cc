/** What is known of the telephone, and how each event changes it. Pure. */

/** Are we signed in at Tonewall? */
export type Link = "connecting" | "ready" | "refused" | "lost";

/** The computer's microphone. */
export type Microphone = "unasked" | "asked" | "on" | "denied" | "missing" | "off";

/** Why a call is over. */
export type Why = "you" | "other" | "busy" | "declined" | "unanswered" | "not-found" | "cut" | "failed";

export type Talk =
  | { at: "idle" }
  | { at: "calling" }
  | { at: "ringing" }
  | { at: "talking"; sinceMs: number }
  | { at: "ended"; why: Why };

/** How keys travel: telephone-events of RFC 4733, or tones in the sound. */
export type Way = "events" | "tones";

export interface State {
  link: Link;
  microphone: Microphone;
  muted: boolean;
  talk: Talk;
  way: Way;
  /** False if the other side takes no telephone-events, so that tones are all there is. */
  events: boolean;
  /** Keys pressed in this call. Which they were is kept nowhere. */
  keys: number;
}

export type Happening =
  | { type: "link"; link: Link }
  | { type: "microphone"; microphone: Microphone }
  | { type: "mute"; muted: boolean }
  | { type: "way"; way: Way }
  | { type: "dialed" }
  | { type: "rings" }
  | { type: "answered"; nowMs: number }
  | { type: "events"; events: boolean }
  | { type: "over"; why: Why }
  | { type: "key" };

export const FIRST: State = {
  link: "connecting",
  microphone: "unasked",
  muted: false,
  talk: { at: "idle" },
  way: "events",
  events: true,
  keys: 0,
};

export const inCall = ({ talk }: State): boolean =>
  talk.at === "calling" || talk.at === "ringing" || talk.at === "talking";

/** The way that the next key takes. */
export const wayOfKeys = (state: State): Way => (state.events ? state.way : "tones");

export function next(state: State, happening: Happening): State {
  switch (happening.type) {
    case "link":
      return { ...state, link: happening.link };
    case "microphone":
      return { ...state, microphone: happening.microphone };
    case "mute":
      return { ...state, muted: happening.muted };
    case "way":
      return { ...state, way: happening.way };
    case "dialed":
      return { ...state, talk: { at: "calling" }, keys: 0, muted: false, events: true };
    case "rings":
      return state.talk.at === "calling" ? { ...state, talk: { at: "ringing" } } : state;
    case "answered":
      return inCall(state) ? { ...state, talk: { at: "talking", sinceMs: happening.nowMs } } : state;
    case "events":
      return { ...state, events: happening.events };
    case "over":
      // The first reason is the right one: what is hung up fails afterwards as well.
      return inCall(state) ? { ...state, talk: { at: "ended", why: happening.why } } : state;
    case "key":
      return state.talk.at === "talking" ? { ...state, keys: state.keys + 1 } : state;
  }
}
