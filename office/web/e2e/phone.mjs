/**
 * A telephone in a page of headless Chromium: JsSIP over a WebSocket, with the browser's own sound (WebRTC).
 *
 *   TONEWALL_PHONE_PASSWORD=… node e2e/phone.mjs ws://127.0.0.1:8088 1001
 *
 * It signs in and answers whoever calls. Lines on standard input are orders: `dial NUMBER`, `keys 4242*` (as telephone-events of the
 * browser), `hold`, `unhold`, `hangup`, `transfer NUMBER` (blind), `transfer` (of the oldest call to whom the newest is with), `stats`, `heard FILE.wav` (what it has heard so far, 8 kHz), `quit`. Each line that it
 * writes is JSON with what has happened. Optional: TONEWALL_CHROMIUM, TONEWALL_PHONE_SOUND (a WAV file that is its microphone, again
 * and again), TONEWALL_PHONE_CODEC=opus (it knows no other).
 */

import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";
import { build } from "vite";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  "--autoplay-policy=no-user-gesture-required",
  // The other end is on this machine too.
  "--allow-loopback-in-peer-connection",
  // The certificate of a test is of its own authority.
  "--ignore-certificate-errors",
];
const RATE = 8_000;
const PAGE = "<!doctype html><title>A telephone</title><script src='phone.js'></script>";

const [url, user] = process.argv.slice(2);
const { TONEWALL_PHONE_SOUND: sound, TONEWALL_PHONE_CODEC: codec } = process.env;
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

/** The page's script, in one piece. */
async function bundle() {
  const [{ output }] = await build({
    configFile: false,
    logLevel: "error",
    build: {
      write: false,
      minify: false,
      lib: { entry: new URL("phone-page.mjs", import.meta.url).pathname, formats: ["iife"], name: "phone" },
    },
  });
  return output[0].code;
}

function serve(script) {
  const server = createServer((request, response) => {
    const isScript = request.url === "/phone.js";
    response.writeHead(200, { "Content-Type": isScript ? "text/javascript" : "text/html; charset=utf-8" });
    response.end(isScript ? script : PAGE);
  });
  return new Promise((ready) => server.listen(0, "127.0.0.1", () => ready(server)));
}

/** 16-bit mono. */
function wav(samples) {
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + samples.length * 2, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(RATE, 24);
  head.writeUInt32LE(RATE * 2, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write("data", 36);
  head.writeUInt32LE(samples.length * 2, 40);
  return Buffer.concat([head, Buffer.from(Int16Array.from(samples).buffer)]);
}

async function obey(page, line) {
  const [order, argument] = line.trim().split(/ (.*)/);
  if (order === "heard") {
    const samples = await page.evaluate(() => globalThis.phone.heard());
    await writeFile(argument, wav(samples));
    return say({ event: "heard", samples: samples.length });
  }
  if (order === "stats")
    return say({ event: "stats", ...(await page.evaluate(() => globalThis.phone.stats())) });
  await page.evaluate(([name, value]) => globalThis.phone[name](value), [order, argument]);
}

async function main() {
  const password = process.env.TONEWALL_PHONE_PASSWORD;
  if (user === undefined || password === undefined) {
    throw new Error("expected the address of the WebSocket, a user, and TONEWALL_PHONE_PASSWORD");
  }
  const server = await serve(await bundle());
  const browser = await chromium.launch({
    executablePath: process.env.TONEWALL_CHROMIUM ?? "/usr/bin/chromium",
    args: sound === undefined ? FLAGS : [...FLAGS, `--use-file-for-fake-audio-capture=${sound}`],
  });
  const page = await browser.newPage({ ignoreHTTPSErrors: true });
  page.on("console", (message) => say({ event: "console", text: message.text() }));
  page.on("pageerror", (error) => say({ event: "error", text: error.message }));
  await page.exposeFunction("tell", say);
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const how = { sound: sound !== undefined, onlyOpus: codec === "opus" };
  await page.evaluate(([...words]) => globalThis.phone.start(...words), [url, user, password, how]);
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === "quit") break;
    await obey(page, line).catch((error) => say({ event: "error", text: error.message }));
  }
  await browser.close();
  server.close();
}

main().catch((error) => {
  say({ event: "error", text: error.message });
  process.exit(1);
});
