/**
 * An admin who ends an API key, without a mouse: `node e2e/keys.mjs FOLDER`, against the mock. Each state is looked at by axe-core
 * and photographed.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { Screen } from "./screen.mjs";

const folder = process.argv[2] ?? "screenshots";

const mock = spawn(process.execPath, ["dev/mock.mjs", "--admin"], { stdio: ["ignore", "pipe", "inherit"] });
const [line] = await once(createInterface({ input: mock.stdout }), "line");
const screen = await Screen.open(line.replace("READY ", ""), folder, "keys");
try {
  await screen.waits("desk", "nav .nav[aria-current]");
  await keys();
  screen.check("status of 4");
  console.log(`keys: looked at ${screen.looked} states`);
} finally {
  await screen.close();
  mock.kill();
}

async function keys() {
  await screen.goTo("/api-keys");
  await screen.waits("api-keys", "tbody tr:nth-child(3)");
  for (const words of ["last used", "none known", "on the server", "tonewall user key"])
    await screen.says(words);
  // The second row is the one that was never used.
  await screen.tabTo("Revoke");
  await screen.tabTo("Revoke");
  await screen.press("Enter");
  await screen.waits("asked", "[role=alertdialog]:has-text('Revoke day-end of priya@example.com?')");
  await screen.press("Escape");
  await screen.gone("[role=alertdialog]");
  await screen.press("Enter");
  await screen.waits(null, "[role=alertdialog]");
  await screen.tabTo("Revoke it");
  await screen.press("Enter");
  await screen.gone("[role=alertdialog]");
  await screen.hears("day-end of priya@example.com is revoked");
  await screen.says("by priya@example.com");
  await screen.look("revoked");
}
