/**
 * A person who is the demo's caller: two tabs, the desk and the telephone, both by keyboard alone. The microphone is Chromium's
 * own, which beeps.
 *
 *   TONEWALL_DESK_URL=<one-time signed-in URL> TONEWALL_PHONE_URL=<the telephone> node e2e/caller.mjs events|tones SCREENSHOT_FOLDER
 *
 * Refuses the microphone, allows it, calls, keys 9 as a tone on the open line, is secured, keys a card by the way named, pays and
 * hangs up. Then it calls again, writes `AGAIN`, and waits for the demo's end. Every state of the telephone is checked with axe-core and
 * photographed. Optional: TONEWALL_E2E_TIMEOUT_MS, TONEWALL_CHROMIUM.
 */

import { mkdir } from "node:fs/promises";
import { Screen } from "./screen.mjs";

const CARD = ["4242424242424242*", "1235", "123"];
/** A key and the pause after it take 200 ms by either way. */
const KEY_MS = 220;
const PHONE = {
  flags: ["--use-fake-device-for-media-stream"],
  viewport: { width: 480, height: 900 },
  first: () => {
    // Kept, so that what the browser says of its connection can be asked for.
    const Original = globalThis.RTCPeerConnection;
    globalThis.RTCPeerConnection = class extends Original {
      constructor(...how) {
        super(...how);
        globalThis.connection = this;
      }
    };
    // Whether Tonewall hung up, however soon the connection was gone after that.
    const Socket = globalThis.WebSocket;
    globalThis.WebSocket = class extends Socket {
      constructor(...how) {
        super(...how);
        this.addEventListener("message", ({ data }) => {
          if (String(data).startsWith("BYE ")) globalThis.wasHungUp = true;
        });
      }
    };
    globalThis.titles = [];
    const look = () => {
      const title = document.querySelector(".says .title")?.textContent;
      if (title !== undefined && globalThis.titles.at(-1) !== title) globalThis.titles.push(title);
    };
    new MutationObserver(look).observe(document, { childList: true, subtree: true, characterData: true });
  },
};

const at = (state) => `main[data-at="${state}"]`;
const accepted = (field) => `[data-field="${field}"][data-status="ok"]`;
const sleep = (ms) => new Promise((over) => setTimeout(over, ms));

async function heard(phone) {
  return phone.run(async () => {
    const report = [...(await globalThis.connection.getStats()).values()];
    const inbound = report.find(({ type }) => type === "inbound-rtp") ?? {};
    return { packets: inbound.packetsReceived ?? 0, energy: inbound.totalAudioEnergy ?? 0 };
  });
}

async function calls(phone) {
  await phone.waits("ready", at("ready"));
  await phone.tabTo("Call the agent");
  await phone.press("Enter");
  await phone.waits("microphone-denied", at("denied"));
  await phone.says("Microphone not allowed");
  await phone.allow("microphone");
  await phone.tabTo("Call the agent");
  await phone.press("Enter");
  await phone.waits("talking", at("talking"));
}

async function keys(phone, desk, way) {
  await phone.tabTo("as events");
  if (way === "tones") await phone.press("ArrowDown");
  for (const [index, field] of ["pan", "expiry", "cvv"].entries()) {
    await phone.type(CARD[index], KEY_MS);
    await desk.waits(null, accepted(field));
  }
  await phone.look("keyed");
}

async function pays(phone, desk, way) {
  await desk.waits(null, '[data-panel="order"] [data-line="open"]');
  await phone.tabTo("as events");
  await phone.press("ArrowDown");
  await phone.type("9");
  await sleep(1_500);
  await phone.press("ArrowUp");
  await desk.tabTo("Amount");
  await desk.type("42.00");
  await desk.tabTo("Account number");
  await desk.type("NW-204417");
  await desk.press("Alt+KeyS");
  await desk.waits(null, '[data-line="secured"]');
  await keys(phone, desk, way);
  await desk.waits(null, ".pay .foot .btn.pri:not([aria-disabled])");
  await desk.press("Alt+Enter");
  await desk.waits("approved", '[data-outcome="approved"]');
  await desk.waits(null, '[data-line="open"]');
}

async function endsTwice(phone) {
  const sound = await heard(phone);
  if (sound.packets < 200 || !(sound.energy > 0))
    throw new Error(`the agent was not heard: ${JSON.stringify(sound)}`);
  await phone.tabTo("Hang up");
  await phone.press("Enter");
  await phone.waits("ended", at("ended"));
  await phone.says("You hung up");
  await phone.tabTo("Call again");
  await phone.press("Enter");
  await phone.waits(null, at("talking"));
  console.log("AGAIN");
  await phone.waits("not-connected", at("not-connected"));
  const [titles, wasHungUp] = await phone.run(() => [globalThis.titles, globalThis.wasHungUp === true]);
  if (!titles.includes("Ringing…")) throw new Error(`it never said that it rings: ${titles.join(", ")}`);
  // The call's end and the connection's come together: a busy browser draws the second one alone.
  if (!wasHungUp) throw new Error(`the call was never ended: ${titles.join(", ")}`);
}

async function main() {
  const [way, folder = "screenshots"] = process.argv.slice(2);
  const { TONEWALL_DESK_URL: deskUrl, TONEWALL_PHONE_URL: phoneUrl } = process.env;
  if (!["events", "tones"].includes(way) || deskUrl === undefined || phoneUrl === undefined)
    throw new Error("say events or tones, TONEWALL_DESK_URL and TONEWALL_PHONE_URL");
  await mkdir(folder, { recursive: true });
  const screens = [];
  try {
    const phone = await Screen.open(phoneUrl, folder, `caller-${way}`, PHONE);
    screens.push(phone);
    const desk = await Screen.open(deskUrl, folder, `caller-${way}-desk`);
    screens.push(desk);
    await calls(phone);
    await pays(phone, desk, way);
    desk.check();
    phone.check();
    await endsTwice(phone);
    console.log(JSON.stringify({ way, outcome: "approved", states_checked: phone.looked }));
  } catch (error) {
    for (const screen of screens) await screen.photograph("failed").catch(() => {});
    throw error;
  } finally {
    for (const screen of screens) await screen.close();
  }
}

main().catch((error) => {
  console.error(`FAILED: ${error.message}`);
  process.exitCode = 1;
});
