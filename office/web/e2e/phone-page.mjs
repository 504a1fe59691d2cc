/** Runs in the page of `phone.mjs`. */

import JsSIP from "jssip";

const RATE = 8_000;
const PC_CONFIG = { iceServers: [], rtcpMuxPolicy: "require" };

let media = null;
let opus = false;

let ua = null;
/** The newest call, and all that stand, the oldest first. */
let session = null;
let sessions = [];
let sound = null;
const chunks = [];

const tell = (event, more = {}) => globalThis.tell({ event, ...more });

/** `sound`: is the microphone a file, which is to be sent as it is? `onlyOpus`: does it know no other codec? */
export function start(url, user, password, { sound = false, onlyOpus = false } = {}) {
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  media = { mediaConstraints: { audio: sound ? plain : true, video: false }, pcConfig: PC_CONFIG };
  opus = onlyOpus;
  const sockets = [new JsSIP.WebSocketInterface(url)];
  ua = new JsSIP.UA({ sockets, uri: `sip:${user}@tonewall.invalid`, password, register: true });
  for (const event of ["connected", "disconnected", "registered", "unregistered"])
    ua.on(event, () => tell(event));
  ua.on("registrationFailed", ({ cause }) => tell("registrationFailed", { cause }));
  ua.on("newRTCSession", ({ session: found, originator }) => {
    session = found;
    watch(found);
    if (originator === "remote") {
      tell("incoming", { from: found.remote_identity.uri.user });
      found.answer(media);
    }
  });
  ua.start();
}

function watch(found) {
  sessions.push(found);
  for (const event of ["failed", "ended"])
    found.on(event, () => {
      sessions = sessions.filter((one) => one !== found);
      session = session === found ? (sessions.at(-1) ?? null) : session;
    });
  found.on("peerconnection", ({ peerconnection }) => listen(peerconnection));
  if (found.connection) listen(found.connection);
  for (const event of ["progress", "accepted", "confirmed", "hold", "unhold"])
    found.on(event, () => tell(event));
  // What this browser is told, and what it tells, has no other codec then.
  found.on("sdp", (event) => {
    if (opus) event.sdp = withOpusAlone(event.sdp);
  });
  found.on("failed", ({ cause }) => tell("failed", { cause }));
  found.on("ended", ({ cause, originator }) => tell("ended", { cause, originator }));
}

function listen(connection) {
  connection.addEventListener("connectionstatechange", () =>
    tell("media", { state: connection.connectionState }),
  );
  connection.addEventListener("track", ({ track }) => record(new MediaStream([track])));
}

/** A description of a session without the payload types that are neither Opus nor its events. */
function withOpusAlone(sdp) {
  const kept = [...sdp.matchAll(/^a=rtpmap:(\d+) (?:opus|telephone-event)\/48000/gim)].map(
    ([, type]) => type,
  );
  const lines = sdp.split("\r\n").filter((line) => {
    const [, type] = /^a=(?:rtpmap|fmtp|rtcp-fb):(\d+) /.exec(line) ?? [];
    return type === undefined || kept.includes(type);
  });
  return lines.join("\r\n").replace(/^(m=audio \d+ \S+)[ \d]*$/m, `$1 ${kept.join(" ")}`);
}

/** Runs beside the sound and not beside the page, which may be busy. */
const TAP = `registerProcessor("tap", class extends AudioWorkletProcessor {
  process([[samples]]) {
    if (samples !== undefined) this.port.postMessage(samples.slice());
    return true;
  }
});`;

/** Keeps all samples of what is heard. */
async function record(stream) {
  // Chromium fetches a remote stream's sound only for an element that plays it.
  sound = new Audio();
  sound.srcObject = stream;
  sound.muted = true;
  sound.play();
  const context = new AudioContext({ sampleRate: RATE });
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([TAP], { type: "text/javascript" })));
  const tap = new AudioWorkletNode(context, "tap", { channelCount: 1, channelCountMode: "explicit" });
  tap.port.onmessage = ({ data }) => chunks.push(data);
  context.createMediaStreamSource(stream).connect(tap);
  tap.connect(context.destination);
}

export function dial(number) {
  ua.call(`sip:${number}@tonewall.invalid`, media);
}

/** As a person presses them: telephone-events (RFC 4733) by the browser's own sender. */
export function keys(tones) {
  session.sendDTMF(tones, { transportType: "RFC2833", duration: 100, interToneGap: 100 });
}

/** Gives the oldest call to somebody else: to a number, or if there is none to whom the newest call is with. */
export function transfer(number) {
  const eventHandlers = Object.fromEntries(
    ["requestFailed", "trying", "progress", "accepted", "failed"].map((event) => [
      event,
      () => tell("transfer", { news: event }),
    ]),
  );
  const [given, consulted] = sessions;
  if (number !== undefined) return given.refer(`sip:${number}@tonewall.invalid`, { eventHandlers });
  given.refer(consulted.remote_identity.uri, { replaces: consulted, eventHandlers });
}

export function hold() {
  session.hold();
}

export function unhold() {
  session.unhold();
}

export function hangup() {
  session.terminate();
}

export function heard() {
  return chunks.flatMap((chunk) =>
    Array.from(chunk, (sample) => Math.round(Math.max(-1, Math.min(1, sample)) * 32767)),
  );
}

export async function stats() {
  const report = [...(await session.connection.getStats()).values()];
  const one = (type) => report.find((entry) => entry.type === type) ?? {};
  const inbound = one("inbound-rtp");
  const codec = report.find((entry) => entry.id === inbound.codecId) ?? {};
  const transport = one("transport");
  return {
    codec: codec.mimeType,
    received: inbound.packetsReceived,
    lost: inbound.packetsLost,
    sent: one("outbound-rtp").packetsSent,
    srtp: transport.srtpCipher,
    dtls: transport.dtlsState,
    tls: transport.tlsVersion,
    reported: one("remote-inbound-rtp").packetsLost,
  };
}
