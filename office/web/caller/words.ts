/** What the telephone says of its state, in plain words. Pure. */

import { inCall, type State, type Why } from "./state.ts";

export interface Words {
  /** One word for styles and tests. */
  at: string;
  title: string;
  hint: string;
}

const ENDED: Record<Why, [string, string]> = {
  you: ["You hung up", "Call again whenever you like."],
  other: ["Ended by the other side", "The agent hung up, or Tonewall ended the call."],
  busy: ["Busy", "The agent is in another call. Try again in a moment."],
  declined: ["Declined", "The agent did not take the call."],
  unanswered: ["No answer", "The agent did not answer."],
  "not-found": [
    "Nobody can be reached there",
    "Tonewall has no way to the agent. Is the demo still running?",
  ],
  cut: ["The connection broke", "No sound came through any more, so the call was ended."],
  failed: ["The call could not be made", "Reload this page and call again."],
};

export function words(state: State): Words {
  if (inCall(state)) return ofCall(state);
  if (state.link === "lost")
    return {
      at: "not-connected",
      title: "Not connected",
      hint: "The demo has ended or can't be reached. Trying again by itself.",
    };
  if (state.link === "refused")
    return {
      at: "refused",
      title: "Signing in was refused",
      hint: "This page is older than the demo that runs. Reload it.",
    };
  const microphone = ofMicrophone(state);
  if (microphone !== null) return microphone;
  if (state.talk.at === "ended") {
    const [title, hint] = ENDED[state.talk.why];
    return { at: "ended", title, hint };
  }
  if (state.link === "connecting")
    return { at: "connecting", title: "Connecting…", hint: "Signing in at Tonewall." };
  return { at: "ready", title: "Ready", hint: "Call the agent, and speak into this computer's microphone." };
}

function ofCall({ talk, microphone, muted, link }: State): Words {
  if (talk.at === "calling") return { at: "calling", title: "Calling…", hint: "Waiting for Tonewall." };
  if (talk.at === "ringing") return { at: "ringing", title: "Ringing…", hint: "The agent's phone rings." };
  const hint =
    link === "lost"
      ? "Tonewall can't be reached just now. The call may end."
      : microphone !== "on"
        ? "The agent hears silence: this call is without a microphone. Keys work."
        : muted
          ? "Muted: the agent hears silence. Keys work."
          : "Speak. When you are asked for your card, use the keys.";
  return { at: "talking", title: "Connected", hint };
}

function ofMicrophone({ microphone }: State): Words | null {
  const without = "Or call without it: keys work, and the agent hears silence.";
  if (microphone === "asked")
    return {
      at: "asked",
      title: "May this page use the microphone?",
      hint: "Your browser asks you. Choose Allow.",
    };
  if (microphone === "denied")
    return {
      at: "denied",
      title: "Microphone not allowed",
      hint: `Allow it beside the page's address and call again. ${without}`,
    };
  if (microphone === "missing")
    return {
      at: "missing",
      title: "No microphone found",
      hint: `Plug one in, or let this computer give it to the browser, and call again. ${without}`,
    };
  return null;
}

/** Minutes and seconds. */
export function lasted(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
