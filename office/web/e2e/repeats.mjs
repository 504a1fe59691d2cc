/**
 * Who looks after payments that repeat when something went wrong, without a mouse: `node e2e/repeats.mjs FOLDER`, against the mock. Each
 * state is looked at by axe-core and photographed.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { Screen } from "./screen.mjs";

const folder = process.argv[2] ?? "screenshots";

const mock = spawn(process.execPath, ["dev/mock.mjs", "--money", "--late"], {
  stdio: ["ignore", "pipe", "inherit"],
});
const [line] = await once(createInterface({ input: mock.stdout }), "line");
const screen = await Screen.open(line.replace("READY ", ""), folder, "repeats");
try {
  await screen.waits("desk", "nav .nav[aria-current]");
  await held();
  await oneIsMoved();
  await others();
  await missed();
  await ownCalendar();
  screen.check("status of 409");
  console.log(`repeats: looked at ${screen.looked} states`);
} finally {
  await screen.close();
  mock.kill();
}

async function held() {
  await screen.goTo("/repeats");
  await screen.waits("held", ".note.bad");
  await screen.says("No payment is taken.");
  await screen.says("Not taken in their time");
  await screen.tabTo("That time is right");
  await screen.press("Enter");
  await screen.gone(".note.bad");
  await screen.tabTo("Decide");
  await screen.press("Enter");
  await screen.waits("calendar", '[data-row="waiting"]');
  await screen.says("Partly refunded (£10.00)");
}

async function oneIsMoved() {
  await screen.tabTo("Change number 3");
  await screen.press("Enter");
  await screen.waits("move", "#move-due");
  await screen.fill("#move-due", "2099-01-31");
  await screen.tabTo("Change it");
  await screen.press("Enter");
  await screen.waits("refused", '.box [role="alert"]');
  await screen.fill("#move-due", new Date(Date.now() + 86_400_000).toISOString().slice(0, 10));
  await screen.fill("#move-amount", "17.50");
  await screen.tabTo("Change it");
  await screen.press("Enter");
  await screen.gone("#move-due");
  await screen.says("£17.50");
}

async function others() {
  await screen.tabTo("Change terms");
  await screen.press("Enter");
  await screen.waits("amend", ".box .say");
  await screen.waits(null, '.box .say:has-text("From now on:")');
  await screen.fill("#repeat-amount", "20");
  await screen.waits(null, '.box .say:has-text("£20.00")');
  await screen.look("amended-preview");
  await screen.tabTo("The customer agrees");
  await screen.press("Enter");
  await screen.gone(".box");
  await screen.says("£20.00");
}

async function missed() {
  await screen.tabTo("Take now number 2");
  await screen.press("Enter");
  await screen.gone('[data-row="failed"]');
  await screen.look("taken-by-hand");
}

async function ownCalendar() {
  await screen.tabTo("Make a link");
  await screen.press("Enter");
  await screen.waits("link", "#customer-link");
  await screen.tabTo("Take back all links");
  await screen.press("Enter");
  await screen.waits("take-back", '[role="alertdialog"]');
  await screen.tabTo("Take them back");
  await screen.press("Enter");
  await screen.gone("#customer-link");
  await screen.says("No link to this calendar is valid any more.");
}
