/** Runs in the page of `phone.mjs`. */

import JsSIP from "jssip";

const RATE = 8_000;
const MEDIA = {
  mediaConstraints: { audio: true, video: false },
  pcConfig: { iceServers: [], rtcpMuxPolicy: "require" },
};

let ua = null;
let session = null;
let sound = null;
const chunks = [];

const tell = (event, more = {}) => globalThis.tell({ event, ...more });

export function start(url, user, password) {
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
      found.answer(MEDIA);
    }
  });
  ua.start();
}

function watch(found) {
  found.on("peerconnection", ({ peerconnection }) => listen(peerconnection));
  if (found.connection) listen(found.connection);
  for (const event of ["progress", "accepted", "confirmed", "hold", "unhold"])
    found.on(event, () => tell(event));
  found.on("failed", ({ cause }) => tell("failed", { cause }));
  found.on("ended", ({ cause, originator }) => tell("ended", { cause, originator }));
}

function listen(connection) {
  connection.addEventListener("connectionstatechange", () =>
    tell("media", { state: connection.connectionState }),
  );
  connection.addEventListener("track", ({ track }) => record(new MediaStream([track])));
}

/** Keeps all samples of what is heard. */
function record(stream) {
  // Chromium fetches a remote stream's sound only for an element that plays it.
  sound = new Audio();
  sound.srcObject = stream;
  sound.muted = true;
  sound.play();
  const context = new AudioContext({ sampleRate: RATE });
  const tap = context.createScriptProcessor(1024, 1, 1);
  tap.onaudioprocess = ({ inputBuffer }) => chunks.push(inputBuffer.getChannelData(0).slice());
  context.createMediaStreamSource(stream).connect(tap);
  tap.connect(context.destination);
}

export function dial(number) {
  ua.call(`sip:${number}@tonewall.invalid`, MEDIA);
}

/** As a person presses them: telephone-events (RFC 4733) by the browser's own sender. */
export function keys(tones) {
  session.sendDTMF(tones, { transportType: "RFC2833", duration: 100, interToneGap: 100 });
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
