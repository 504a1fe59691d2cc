/** The line to Tonewall: SIP over a WebSocket, by JsSIP. */

import JsSIP from "jssip";
import type { EndEvent, RTCSession } from "jssip/lib/RTCSession";
import type { Mouth } from "./sound.ts";
import type { Happening, Why } from "./state.ts";

/** What the demo tells this page. */
export interface Account {
  /** The WebSocket's address. */
  url: string;
  user: string;
  password: string;
  /** The number to call. */
  number: string;
}

const CAUSES: Record<string, Why> = {
  [JsSIP.C.causes.BUSY]: "busy",
  [JsSIP.C.causes.REJECTED]: "declined",
  [JsSIP.C.causes.UNAVAILABLE]: "unanswered",
  [JsSIP.C.causes.NO_ANSWER]: "unanswered",
  [JsSIP.C.causes.NOT_FOUND]: "not-found",
  [JsSIP.C.causes.CONNECTION_ERROR]: "not-found",
  [JsSIP.C.causes.RTP_TIMEOUT]: "cut",
};

const whyOver = ({ originator, cause }: EndEvent): Why => {
  const byWhom: Why = originator === "remote" ? "other" : "failed";
  return cause === JsSIP.C.causes.CANCELED ? "you" : (CAUSES[cause] ?? byWhom);
};

export class Line {
  #account: Account;
  #ua: JsSIP.UA;
  #tell: (happening: Happening) => void;
  #hear: (stream: MediaStream) => void;
  #session: RTCSession | null = null;
  #mouth: Mouth | null = null;

  constructor(account: Account, tell: (happening: Happening) => void, hear: (stream: MediaStream) => void) {
    this.#account = account;
    this.#tell = tell;
    this.#hear = hear;
    const { url, user, password } = account;
    const sockets = [new JsSIP.WebSocketInterface(url)];
    this.#ua = new JsSIP.UA({ sockets, uri: `sip:${user}@tonewall.invalid`, password, register: true });
    this.#ua.on("registered", () => tell({ type: "link", link: "ready" }));
    this.#ua.on("disconnected", () => tell({ type: "link", link: "lost" }));
    this.#ua.on("registrationFailed", ({ response }) =>
      tell({ type: "link", link: response === null || response === undefined ? "lost" : "refused" }),
    );
    // Nobody calls this telephone.
    this.#ua.on("newRTCSession", ({ originator, session }: { originator: string; session: RTCSession }) => {
      if (originator === "remote") session.terminate({ status_code: 486 });
    });
    this.#ua.start();
  }

  call(mouth: Mouth): void {
    this.#mouth = mouth;
    this.#tell({ type: "dialed" });
    const session = this.#ua.call(`sip:${this.#account.number}@tonewall.invalid`, {
      mediaStream: mouth.stream,
      pcConfig: { iceServers: [], rtcpMuxPolicy: "require" },
    });
    this.#session = session;
    session.connection.addEventListener("track", ({ track }) => this.#hear(new MediaStream([track])));
    session.on("progress", () => this.#tell({ type: "rings" }));
    session.on("accepted", () => this.#tell({ type: "answered", nowMs: Date.now() }));
    session.on("confirmed", () => this.#lookForEvents(session));
    session.on("ended", (event: EndEvent) => this.#over(whyOver(event)));
    session.on("failed", (event: EndEvent) => this.#over(whyOver(event)));
  }

  /** What both sides have agreed on. Whether the browser could send one right now (`canInsertDTMF`) is another question: a busy one says no at first. */
  #lookForEvents(session: RTCSession): void {
    const codecs = session.connection.getSenders().flatMap((sender) => sender.getParameters().codecs ?? []);
    const events = codecs.some(({ mimeType }) => mimeType.toLowerCase() === "audio/telephone-event");
    this.#tell({ type: "events", events });
  }

  #over(why: Why): void {
    this.#mouth?.close();
    this.#mouth = null;
    this.#session = null;
    this.#tell({ type: "over", why });
  }

  press(key: string, asTone: boolean): void {
    this.#tell({ type: "key" });
    const transportType = JsSIP.C.DTMF_TRANSPORT.RFC2833;
    if (asTone) this.#mouth?.press(key);
    else this.#session?.sendDTMF(key, { transportType, duration: 120, interToneGap: 80 });
  }

  mute(muted: boolean): void {
    this.#mouth?.mute(muted);
    this.#tell({ type: "mute", muted });
  }

  hangUp(): void {
    this.#tell({ type: "over", why: "you" });
    this.#session?.terminate();
  }
}
