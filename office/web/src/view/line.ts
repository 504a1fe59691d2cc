/** What the line band says. A state is shown only with proof; without it the band says what it does not know. */

import { type DeskState, paymentOf } from "../state/desk.ts";
import { judge, type Proof, type Sight, sight } from "../state/freshness.ts";
import type { CallView, LineState, Masking, PaymentState, Recorders } from "../wire.ts";
import { holdsPayment } from "./recorders.ts";

export type LineLook =
  | "open"
  | "securing"
  | "secured"
  | "pausing"
  | "unpaused"
  | "releasing"
  | "stale"
  | "fault"
  | "conference";
export type LineDeed = "secure" | "release";

export type LineView = {
  look: LineLook;
  title: string;
  sub: string;
  button: { deed: LineDeed; label: string; seal: boolean } | null;
  /** Who hears what, and since when that is proved; only while that is known. */
  hears: { you: string; caller: string; proof: string; recorder: string | null } | null;
  /** Nothing was heard for so long that the agent is told in a banner. */
  banner: { title: string; rest: string } | null;
};

export function lineView(state: DeskState, call: CallView, now: number): LineView {
  const proof = judge(state.proofs[call.call] ?? null, state.maskedSince[call.call] ?? now, now);
  const link = sight(state.link, now);
  const view = link.holds ? seen(state, call, proof) : unseen(call.line, link.age);
  return { ...view, banner: banner(state, call.line, proof, link) };
}

type Band = Omit<LineView, "banner">;

function seen(state: DeskState, call: CallView, proof: Proof): Band {
  switch (call.line) {
    case "open":
      return open(state, call);
    case "securing":
      if (call.way === "conference") return joining();
      return {
        look: "securing",
        title: "Securing the line…",
        sub: "Waiting for proof that your side carries no key tones. The caller should not key anything yet.",
        button: null,
        hears: null,
      };
    case "secured":
      return proof.holds ? secured(proof, call) : unproved(proof, "Secured, but not proved at this moment.");
    case "releasing":
      return proof.holds
        ? releasing(proof, call)
        : unproved(proof, "Releasing, but not proved at this moment.");
    case "fault":
      return call.way === "conference" ? deaf() : fault(paymentOf(state, call)?.state ?? null);
    case "conference":
      return conference();
  }
}

function open(state: DeskState, call: CallView): Band {
  const before = call.timeline.some((row) => row.text_key === "line_secured");
  const ringing = call.state === "ringing";
  const payment = paymentOf(state, call)?.state;
  const unpaid = payment === "waiting" || payment === undefined || payment === "cancelled";
  return {
    look: "open",
    title: before ? "Line open again" : "Line open",
    sub: ringing
      ? "The phone is ringing. Answer it to begin."
      : "Key tones reach you. Secure the line before you ask for the card.",
    button: ringing
      ? null
      : { deed: "secure", label: before ? "Secure again" : "Secure the line", seal: unpaid },
    hears: null,
  };
}

/** What is left of the caller on the agent's side. */
const YOU_HEAR: Record<Masking, string> = {
  natural: "The voice, no keys",
  strict: "A soft pulse, no voice",
  none: "Everything, keys too",
};

function secured(proof: Proof, call: CallView): Band {
  if (holdsPayment(call)) return held(proof, call);
  const { masking } = call;
  return {
    look: "secured",
    title: "Line secured",
    sub:
      masking === "natural"
        ? "You hear the caller, and a short tone in the place of each key. The caller hears you."
        : "You can’t hear the caller now, only a short tone for each key. The caller hears you.",
    button: { deed: "release", label: "Release line", seal: false },
    hears: hears(proof, call),
  };
}

/** Masked, and proved to be, but what the caller keys is not taken: a recorder elsewhere may have it. */
function held(proof: Proof, call: CallView): Band {
  const waits = call.recorders?.state === "asked";
  return {
    look: waits ? "pausing" : "unpaused",
    title: waits ? "Masked. Pausing the recorder…" : "Masked, but the recorder has not paused",
    sub: "Your side carries no key tones. The caller should not key anything yet.",
    button: { deed: "release", label: "Release line", seal: false },
    hears: hears(proof, call),
  };
}

function hears(proof: Proof, call: CallView): Band["hears"] {
  const recorder = call.recorders ? RECORDER[call.recorders.state] : null;
  return { you: YOU_HEAR[call.masking], caller: "You", proof: proofWords(proof), recorder };
}

const RECORDER: Record<Recorders["state"], string | null> = {
  not_asked: null,
  asked: "Being paused",
  paused: "Says it has paused",
  not_paused: "Not paused",
};

function releasing(proof: Proof, call: CallView): Band {
  return {
    look: "releasing",
    title: "Releasing the line…",
    sub: "The keys are still kept from you. It opens by itself after 3 seconds without a key.",
    button: { deed: "secure", label: "Keep it secured", seal: false },
    hears: hears(proof, call),
  };
}

function joining(): Band {
  return {
    look: "securing",
    title: "Joining the conference…",
    sub: "The caller should not key anything yet.",
    button: null,
    hears: null,
  };
}

/** Said all the time: nothing here is kept from anybody. */
function conference(): Band {
  return {
    look: "conference",
    title: "Not masked: you can hear the keys",
    sub: "This is a conference. You, your phone and any recording of the call hear each key. Mute your side if your phone can. Don’t write anything down, and press no keys yourself: they would count.",
    button: null,
    hears: null,
  };
}

function deaf(): Band {
  return {
    look: "fault",
    title: "Stopped: the keys can’t be taken",
    sub: "Ask the caller not to key anything: you would hear it. What was keyed is erased. Take the payment line out of the conference and begin again.",
    button: null,
    hears: null,
  };
}

function unproved(proof: Proof, known: string): Band {
  return {
    look: "stale",
    title: `Can’t see the line: no proof for ${seconds(proof.age)}`,
    sub: `${known} Don’t ask for anything new until the proof is back.`,
    button: { deed: "release", label: "Release line", seal: false },
    hears: null,
  };
}

const WAS: Record<LineState, string> = {
  open: "open",
  securing: "being secured",
  secured: "secured",
  releasing: "being released",
  fault: "stopped",
  conference: "a conference, not masked,",
};

function unseen(line: LineState, away: number): Band {
  return {
    look: "stale",
    title: `Can’t see the line: ${WAS[line]} ${seconds(away)} ago`,
    sub:
      line === "open" || line === "securing" || line === "conference"
        ? "Until this screen is back, don’t ask for a card."
        : "Lines stay secured when this screen drops. Until it is back, don’t ask for anything new.",
    button: null,
    hears: null,
  };
}

function fault(payment: PaymentState | null): Band {
  return {
    look: "fault",
    title: "Stopped: masking could not be proved",
    sub: `Ask the caller not to key anything: you may hear it. What was keyed is erased. ${moneyAfterFault(payment)}`,
    button: { deed: "secure", label: "Try to secure again", seal: false },
    hears: null,
  };
}

/** Only what is known of the money; a payment at the bank may have gone either way. */
function moneyAfterFault(payment: PaymentState | null): string {
  if (payment === "authorizing" || payment === "unknown") return "The payment was already sent to the bank.";
  return payment === "approved" ? "The payment was already approved." : "Nothing was charged.";
}

function banner(state: DeskState, line: LineState, proof: Proof, link: Sight): LineView["banner"] {
  if (link.lost) {
    const rest =
      line === "open" || line === "conference"
        ? "Reconnecting."
        : "The caller can carry on keying. Reconnecting.";
    return { title: `This screen lost its connection ${seconds(link.age)} ago.`, rest };
  }
  if (state.door === "down") {
    return {
      title: "The payment service can’t be reached.",
      rest: "Lines stay as they are, and nothing can be secured or charged until it is back.",
    };
  }
  const masked = line === "secured" || line === "releasing";
  if (!masked || !proof.lost) return null;
  return {
    title: `No proof of masking for ${seconds(proof.age)}.`,
    rest: "The line may still be secured. Don’t ask for a card until the proof is back.",
  };
}

function proofWords(proof: Proof): string {
  return proof.age < 1_500 ? "Masking, just now" : "Masking, 1 s ago";
}

const seconds = (ms: number): string => `${Math.floor(ms / 1_000)} s`;
