/** Plays scenarios against the mock: `node e2e/try.mjs FOLDER [SCENARIO…]`. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const ALL = [
  "approve",
  "decline-then-other-card",
  "cancel",
  "caller-hangs-up",
  "surcharge",
  "repeat",
  "recorder",
];
const [folder = "screenshots", ...chosen] = process.argv.slice(2);

for (const scenario of chosen.length > 0 ? chosen : ALL) {
  const mock = spawn(process.execPath, ["dev/mock.mjs", "--scenario", scenario], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(createInterface({ input: mock.stdout }), "line");
  const env = { ...process.env, TONEWALL_DESK_URL: line.replace("READY ", "") };
  const run = spawn(process.execPath, ["e2e/desk.mjs", scenario, folder], { stdio: "inherit", env });
  const [code] = await once(run, "exit");
  mock.kill();
  if (code !== 0) process.exit(1);
}
