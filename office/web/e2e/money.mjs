/**
 * Who looks after the money, without a mouse but for choosing a file: `node e2e/money.mjs FOLDER`, against the mock. Each state is
 * looked at by axe-core and photographed.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { Screen } from "./screen.mjs";

const folder = process.argv[2] ?? "screenshots";
const REPORT = "balance_transaction_id,created_utc\ntxn_1,2026-11-25 16:40:00\n";

const mock = spawn(process.execPath, ["dev/mock.mjs", "--money", "--admin"], {
  stdio: ["ignore", "pipe", "inherit"],
});
const [line] = await once(createInterface({ input: mock.stdout }), "line");
const url = line.replace("READY ", "");
const screen = await Screen.open(url, folder, "money");
try {
  await screen.waits("desk", "nav .nav[aria-current]");
  await payments();
  await deletedByHand();
  await dayEnd();
  await byHand();
  await gateways();
  screen.check("status of 4");
  console.log(`money: looked at ${screen.looked} states`);
} finally {
  await screen.close();
  mock.kill();
}

async function payments() {
  await screen.goTo("/payments");
  await screen.waits("payments", "tbody tr:nth-child(5)");
  await screen.choose("tbody tr:nth-child(1) a");
  await screen.waits("one-payment", ".att");
  await screen.tabTo("Refund");
  await screen.press("Enter");
  await screen.waits("refund", "#how-much");
  await screen.fill("#how-much", "999");
  await screen.tabTo("Refund");
  await screen.press("Enter");
  await screen.waits("too-much", "#how-much-error:not(:empty)");
  await screen.fill("#how-much", "62.30");
  await screen.tabTo("Refund");
  await screen.press("Enter");
  await screen.waits("refunded", ".att:nth-child(2)");
  await screen.says("Refund: done");
  await screen.says("£62.30");
  await screen.tabTo("Waiting for people");
  await screen.press("Enter");
  await screen.gone("tbody tr:nth-child(4)");
  await screen.look("waiting");
  await screen.choose("tbody tr:nth-child(1) a");
  await settled();
  await screen.choose("tbody tr:nth-child(1) a");
  await screen.waits("alarm", ".note.bad");
  await screen.fill(".note.bad .in", "Sent the papers to the bank.");
  await screen.tabTo("I have looked at it");
  await screen.press("Enter");
  await screen.gone(".note.bad");
  await screen.says("Sent the papers to the bank.");
  await screen.choose("tbody tr:nth-child(1) a");
  await screen.tabTo("Keep it");
  await screen.press("Enter");
  await screen.waits("nothing-waits", ".note.ok");
  await screen.says("Nothing waits for people.");
}

/** A kept card that its gateway does not delete: one says that they have, another one confirms. */
async function deletedByHand() {
  await screen.goTo("/payments");
  await screen.waits(null, "tbody tr:nth-child(5)");
  await screen.choose("tbody tr:nth-child(1) a");
  await screen.waits("card-not-deleted", "#deleted-how");
  await screen.tabTo("I have deleted it there");
  await screen.press("Enter");
  await screen.waits(null, ".note.bad");
  await screen.hears("where and how");
  for (const words of ["It is still there", "It is deleted there"]) {
    await screen.fill("#deleted-how", "Deleted under Shoppers in the Customer Area.");
    await screen.tabTo("I have deleted it there");
    await screen.press("Enter");
    await screen.waits(null, ".note.ok");
    await screen.says("fay@example.com says");
    await screen.look("card-said-deleted");
    await screen.tabTo(words);
    await screen.press("Enter");
    if (words === "It is still there") await screen.waits(null, "#deleted-how");
  }
  await screen.gone(".settle");
  await screen.says("confirmed by priya@example.com");
  await screen.says("The gateway has not said so.");
  await screen.look("card-deleted-by-hand");
}

async function settled() {
  await screen.waits("to-settle", ".settle");
  for (const words of ["second person", "It is settled"]) {
    await screen.tabTo("It was done");
    await screen.press("Enter");
    await screen.waits(null, ".note.ok");
    await screen.hears(words);
  }
  await screen.look("settled");
}

async function dayEnd() {
  await screen.goTo("/reconciliation");
  await screen.waits("day-end", ".sums");
  await screen.says("Here only");
  await screen.attach("#file", "card.csv", `${REPORT}4242424242424242,x\n`);
  await screen.tabTo("Give in");
  await screen.press("Enter");
  await screen.waits("card-refused", ".note.bad");
  await screen.says("card number");
  await screen.attach("#file", "november-25.csv", REPORT);
  await screen.tabTo("Give in");
  await screen.press("Enter");
  await screen.waits(null, "#finding-theirs_only");
  await screen.says("1 line taken in");
  await screen.look("day-with-report");
  await screen.says("charge, again");
  await screen.attach("#file", "november-25.csv", REPORT);
  await screen.tabTo("Give in");
  await screen.press("Enter");
  await screen.hears("Nothing has changed");
  await screen.tabTo("Take back november-25.csv");
  await screen.press("Enter");
  await screen.tabTo("Take back 1 line");
  await screen.look("take-back");
  await screen.press("Enter");
  await screen.hears("nothing of it counts any more");
  await screen.gone(".reported");
  await screen.says("None yet.");
  await screen.tabTo("Ask the gateway");
  await screen.press("Enter");
  await screen.hears("stripe-uk: 1 line taken in");
  await screen.look("asked");
  await screen.select("#format", "columns");
  await screen.waits("columns", "#c-reference");
}

async function byHand() {
  await screen.goTo("/by-hand");
  await screen.waits("by-hand", "tbody tr");
  await screen.tabTo("Keyed");
  await screen.tabTo("Keyed");
  await screen.press("Enter");
  await screen.waits("keyed", ".note.ok");
  await screen.tabTo("Keyed");
}

/** A credential is typed once, leaves the page sealed, and is nowhere in it afterwards. */
async function gateways() {
  const key = "sk_test_a_key_that_is_nobodys_51Hx";
  await screen.goTo("/gateways");
  await screen.waits("gateways", "#gateway-stripe-uk");
  await screen.says("not set");
  await screen.says("set in cde.toml (file)");
  await screen.says("fingerprint 9c1f40ab");
  await screen.fill("#give-stripe-uk-webhook_key", "short");
  await screen.press("Enter");
  await screen.waits("bad-credential", ".note.bad");
  await screen.hears("does not take this credential");
  await screen.fill("#give-stripe-uk-key", key);
  await screen.look("credential-typed");
  await screen.press("Enter");
  await screen.waits("credential-set", ".note.ok");
  await screen.says("by Priya Shah, fingerprint 4f20c7de");
  const left = await screen.run(`(async () => {
    const given = await (await fetch("/api/v1/gateways/given", { credentials: "same-origin" })).text();
    const fields = [...document.querySelectorAll("input")];
    const kept = JSON.stringify([{ ...localStorage }, { ...sessionStorage }]);
    return {
      given: given.includes("sealed") && !given.includes("sk_test"),
      page: !document.documentElement.outerHTML.includes("sk_test") && fields.every(({ value }) => value === ""),
      kept: !kept.includes("sk_test"),
      never: fields.every(({ autocomplete, type }) => autocomplete === "off" && type !== "password"),
    };
  })()`);
  for (const [what, holds] of Object.entries(left)) {
    if (!holds) throw new Error(`a credential: ${what} does not hold`);
  }
}
